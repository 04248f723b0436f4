#!/bin/bash
# Leads packets on, and starts the tunnel
set -euo pipefail

sysctl --quiet --load /etc/sysctl.d/99-wireguard.conf

if [ -d /run/systemd/system ]; then
    systemctl enable wg-quick@wg0
    systemctl restart wg-quick@wg0
else
    log_warn "This guest has no systemd: the tunnel will not come back by itself after a restart"
    if ip link show wg0 >/dev/null 2>&1; then wg-quick down wg0; fi
    wg-quick up wg0
fi
log_info "The tunnel was started"
