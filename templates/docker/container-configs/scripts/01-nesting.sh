#!/bin/bash
# Checks that this guest may hold containers of its own
set -euo pipefail

if ! unshare --mount --pid --fork --mount-proc true; then
    log_error "This guest may make no namespaces: set the features nesting and keyctl of the container, then retry"
    exit 1
fi
