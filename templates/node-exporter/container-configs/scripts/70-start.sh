#!/bin/bash
# Starts the exporter with the settings as they are now
set -euo pipefail

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable prometheus-node-exporter
    # Since it was installed it has tried in vain without its password file, and systemd may have had enough of it.
    systemctl stop prometheus-node-exporter
    systemctl reset-failed prometheus-node-exporter || :
    systemctl start prometheus-node-exporter
else
    log_warn "This guest has no systemd: the exporter starts with it only where its runlevels are used"
    service prometheus-node-exporter restart </dev/null
fi
log_info "The exporter was started"
