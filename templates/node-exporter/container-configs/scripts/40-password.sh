#!/bin/bash
# Makes the password once, hands it to the dashboard, and its hash to the exporter
set -euo pipefail

web=/etc/prometheus/node-exporter-web.yml
kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/node-exporter

password=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept" 2>/dev/null || :)
if [ -n "$password" ] && [ -s "$web" ]; then
    log_info "Kept the password of an earlier run"
else
    [ -n "$password" ] || password=$(generate_password 32)
    mkdir -p /etc/prometheus
    hash=$(printf '%s\n' "$password" | mkpasswd --method=bcrypt --rounds=10 --stdin)
    (umask 077 && printf 'basic_auth_users:\n  prometheus: %s\n' "$hash" >"$web.new")
    chown root:prometheus "$web.new"
    chmod 640 "$web.new"
    mv -f "$web.new" "$web"
    log_info "Wrote the password's hash"
fi
save_credential node-exporter USER prometheus
save_credential node-exporter PORT 9100
save_credential node-exporter PASSWORD "$password"
