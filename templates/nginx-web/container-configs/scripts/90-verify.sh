#!/bin/bash
# Asks the server for its health
# timeout: 120
set -euo pipefail

answer=$(curl --silent --show-error --fail --noproxy '*' --max-time 5 \
    --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1/health)

if [ "$answer" != ok ]; then
    log_error "http://127.0.0.1/health answers: $answer"
    exit 1
fi
log_info "The site answers on port 80"
