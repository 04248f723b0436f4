#!/bin/bash
# Checks that the node's kernel has WireGuard: a container cannot bring its own
set -euo pipefail

ensure_installed iproute2

if ip link show wg0 >/dev/null 2>&1; then
    log_info "The interface wg0 is there"
elif said=$(ip link add wgcheck0 type wireguard 2>&1); then
    ip link delete wgcheck0
    log_info "The node's kernel has WireGuard"
else
    log_error "The node's kernel makes no WireGuard interface: $said"
    log_error "On the node, as root: modprobe wireguard && echo wireguard >/etc/modules-load.d/wireguard.conf"
    exit 1
fi
