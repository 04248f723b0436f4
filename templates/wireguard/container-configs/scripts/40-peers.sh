#!/bin/bash
# Makes the server's keys and the first peer once, and hands the peer's settings to the dashboard
set -euo pipefail

PATH=/usr/local/sbin:$PATH
first=/etc/wireguard/peers/first.conf

if [ ! -s "$first" ]; then
    wg-peer add first
    log_info "Made the first peer"
else
    wg-peer apply
    log_info "Kept the peers: $(wg-peer list | tr '\n' ' ')"
fi

value() {
    sed -n "s/^$1 *= *//p" "$first" | head -n 1
}
save_credential wireguard FILE "$first"
save_credential wireguard ENDPOINT "$(value Endpoint)"
save_credential wireguard SERVER_PUBLIC_KEY "$(value PublicKey)"
save_credential wireguard ADDRESS "$(value Address)"
save_credential wireguard PRIVATE_KEY "$(value PrivateKey)"
save_credential wireguard PRESHARED_KEY "$(value PresharedKey)"

# Reads it as wg will, without an interface.
wg-quick strip wg0 >/dev/null
log_info "/etc/wireguard/wg0.conf is whole"
