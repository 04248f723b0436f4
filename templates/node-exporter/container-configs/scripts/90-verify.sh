#!/bin/bash
# Asks for the figures with the password, and tries that nobody else gets them
# timeout: 120
set -euo pipefail

kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/node-exporter
password=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept")

metrics=$(mktemp)
trap 'rm -f "$metrics"' EXIT
# By a file descriptor: the command line is for everybody's eyes.
curl --silent --show-error --fail --noproxy '*' --max-time 10 --retry 30 --retry-delay 1 --retry-all-errors \
    --config <(printf 'user = "prometheus:%s"\n' "$password") http://127.0.0.1:9100/metrics >"$metrics"

for figure in node_memory_MemTotal_bytes node_cpu_seconds_total node_network_receive_bytes_total; do
    if ! grep -q "^$figure" "$metrics"; then
        log_error "The exporter does not tell $figure"
        exit 1
    fi
done

status=$(curl --silent --output /dev/null --noproxy '*' --max-time 10 --write-out '%{http_code}' http://127.0.0.1:9100/metrics)
if [ "$status" != 401 ]; then
    log_error "Without the password /metrics answers with $status, and not with 401"
    exit 1
fi
log_info "The exporter tells $(grep -c '^[a-z]' "$metrics") figures at port 9100"
