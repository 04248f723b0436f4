#!/bin/bash
# Checks that this is a system the template knows
set -euo pipefail

case "$CONTAINER_OS" in
debian | ubuntu)
    log_info "This is ${CONTAINER_OS} ${CONTAINER_OS_VERSION}"
    ;;
*)
    log_error "This template is for Debian and Ubuntu, and this is ${CONTAINER_OS}"
    exit 1
    ;;
esac
