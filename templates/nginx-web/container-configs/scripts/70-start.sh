#!/bin/bash
# Starts nginx, or has it read its configuration again
set -euo pipefail

if [ -d /run/systemd/system ]; then
    systemctl enable nginx
    systemctl reload-or-restart nginx
elif [ -s /run/nginx.pid ] && kill -0 "$(cat /run/nginx.pid)" 2>/dev/null; then
    nginx -s reload
else
    log_warn "This guest has no systemd: nginx will not come back by itself after a restart"
    nginx </dev/null >/dev/null 2>&1
fi
log_info "nginx runs"
