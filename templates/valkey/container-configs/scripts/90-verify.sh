#!/bin/bash
# Asks Valkey with the password, writes and reads, and tries that nothing is answered without it
# timeout: 120
set -euo pipefail

kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/valkey
REDISCLI_AUTH=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept")
export REDISCLI_AUTH

ask() { # HOST COMMAND...
    valkey-cli --no-auth-warning -h "$1" -p 6379 "${@:2}" 2>&1
}

for try in $(seq 60); do
    answer=$(ask 127.0.0.1 ping || :)
    if [ "$answer" = PONG ]; then break; fi
    if [ "$try" = 60 ]; then
        log_error "Valkey answers a ping after 30 s with: $answer"
        exit 1
    fi
    sleep 0.5
done

for address in $(hostname -I); do
    case $address in fe80:*) continue ;; esac
    if [ "$(ask "$address" ping)" != PONG ]; then
        log_error "Valkey does not answer at $address"
        exit 1
    fi
    log_info "Valkey answers at $address"
done

key=lxc-dashboard:verify
ask 127.0.0.1 set "$key" written ex 60 >/dev/null
if [ "$(ask 127.0.0.1 getdel "$key")" != written ]; then
    log_error "Valkey does not give back what was written"
    exit 1
fi

unset REDISCLI_AUTH
case $(ask 127.0.0.1 ping) in
*NOAUTH*) log_info "Nothing is answered without the password" ;;
*)
    log_error "Valkey answers without the password"
    exit 1
    ;;
esac
