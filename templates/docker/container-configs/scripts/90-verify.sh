#!/bin/bash
# Asks the daemon, and runs a container that needs nothing from a registry
# timeout: 180
set -euo pipefail

image=lxc-dashboard/verify:latest

log_info "$(docker info --format 'Docker {{.ServerVersion}}: storage {{.Driver}}, cgroups {{.CgroupVersion}} by {{.CgroupDriver}}')"
log_info "$(docker compose version)"

root=$(mktemp -d)
trap 'rm -rf "$root"; docker image rm --force "$image" >/dev/null 2>&1 || :' EXIT
install -D -m 755 "$(command -v busybox)" "$root/bin/busybox"
tar -C "$root" -c . | docker import - "$image" >/dev/null

answer=$(docker run --rm --network none "$image" /bin/busybox echo answered)
if [ "$answer" != answered ]; then
    log_error "A container said: $answer"
    exit 1
fi
log_info "A container ran and answered"
