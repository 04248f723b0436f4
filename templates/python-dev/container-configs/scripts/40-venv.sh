#!/bin/bash
# Makes the virtual environment ~/venv of the user who works here
set -euo pipefail

# shellcheck disable=SC2016 # expanded by the user's shell
run_as_user sh -c '
if [ ! -x "$HOME/venv/bin/python" ] || ! "$HOME/venv/bin/python" -c "" 2>/dev/null; then
    python3 -m venv --clear "$HOME/venv"
fi
'
# shellcheck disable=SC2016 # expanded by the user's shell
version=$(run_as_user sh -c '"$HOME/venv/bin/python" --version')
log_info "$version in ~/venv of $CONTAINER_USER"
