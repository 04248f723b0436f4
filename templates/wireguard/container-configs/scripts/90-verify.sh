#!/bin/bash
# Asks WireGuard for its port, its key and its peers
# timeout: 60
set -euo pipefail

# shellcheck source=/dev/null
. /etc/default/wireguard-server

if [ "$(wg show wg0 listen-port)" != "$PORT" ]; then
    log_error "WireGuard listens on $(wg show wg0 listen-port), and $PORT was wanted"
    exit 1
fi
if [ "$(wg show wg0 public-key)" != "$(wg pubkey </etc/wireguard/server.key)" ]; then
    log_error "WireGuard runs with another key than /etc/wireguard/server.key"
    exit 1
fi
known=$(wg show wg0 peers | wc -l)
made=$(find /etc/wireguard/peers -name '*.conf' | wc -l)
if [ "$known" != "$made" ]; then
    log_error "WireGuard knows $known peers, and $made were made"
    exit 1
fi
if [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 1 ]; then
    log_error "Packets are not led on: net.ipv4.ip_forward is 0"
    exit 1
fi
log_info "WireGuard listens on UDP port $PORT for $known peers"
