#!/bin/bash
# Logs in over TCP with the password and asks, and tries that nobody comes in without it
# timeout: 120
set -euo pipefail

kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/postgresql
PGPASSWORD=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept")
export PGPASSWORD PGCONNECT_TIMEOUT=10 PGUSER=app PGDATABASE=app PGPORT=5432

ask() { # HOST
    psql --no-psqlrc --no-password --tuples-only --no-align --host "$1" --command 'SELECT 1'
}

# shellcheck disable=SC2046 # one word for each address
for address in 127.0.0.1 $(hostname -I); do
    case $address in fe80:*) continue ;; esac
    if [ "$(ask "$address")" != 1 ]; then
        log_error "PostgreSQL does not answer the role app at $address"
        exit 1
    fi
    log_info "PostgreSQL answers at $address"
done

if PGPASSWORD=wrong ask 127.0.0.1 >/dev/null 2>&1; then
    log_error "PostgreSQL lets the role app in with a wrong password: look at pg_hba.conf"
    exit 1
fi
