#!/bin/bash
# Starts Valkey with the settings as they are now
set -euo pipefail

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable valkey-server
    systemctl restart valkey-server
else
    log_warn "This guest has no systemd: Valkey starts with it only where its runlevels are used"
    service valkey-server restart </dev/null
fi
log_info "Valkey was started"
