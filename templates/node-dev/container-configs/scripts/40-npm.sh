#!/bin/bash
# Lets the user who works here install globally without root
set -euo pipefail

# shellcheck disable=SC2016 # expanded by the user's shell
run_as_user sh -euc '
mkdir -p "$HOME/.local/bin"
if ! grep -qs "^prefix *=" "$HOME/.npmrc"; then
    printf "prefix=\${HOME}/.local\n" >>"$HOME/.npmrc"
fi
'
log_info "npm of $CONTAINER_USER installs into $(run_as_user npm prefix --global)"
