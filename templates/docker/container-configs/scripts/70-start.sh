#!/bin/bash
# Starts Docker, again only where its settings have changed since
# timeout: 300
set -euo pipefail

applied=/var/lib/docker/.settings-applied
now=$(sha256sum </etc/docker/daemon.json)

if ! dockerd --validate --config-file /etc/docker/daemon.json; then
    log_error "/etc/docker/daemon.json is not what dockerd reads"
    exit 1
fi

if [ -d /run/systemd/system ]; then
    systemctl enable docker containerd
    run() { systemctl "$1" docker; }
else
    log_warn "This guest has no systemd: Docker starts with it only where its runlevels are used"
    run() { service docker "$1" </dev/null; }
fi

# A restart ends what runs in the containers: not for nothing.
if [ "$(cat "$applied" 2>/dev/null)" = "$now" ] && docker info >/dev/null 2>&1; then
    log_info "Docker runs with these settings already"
else
    run restart
fi

for _ in $(seq 60); do
    if docker info >/dev/null 2>&1; then
        printf '%s\n' "$now" >"$applied"
        log_info "Docker answers"
        exit 0
    fi
    sleep 0.5
done
log_error "Docker does not answer after 30 s"
journalctl --no-pager --lines 20 --unit docker 2>/dev/null || tail -n 20 /var/log/docker.log || :
exit 1
