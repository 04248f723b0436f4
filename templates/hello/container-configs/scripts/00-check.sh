#!/bin/bash
# Looks at the system before anything is changed
set -euo pipefail

log_info "This is ${CONTAINER_OS} ${CONTAINER_OS_VERSION} on $(uname -m), host name $(uname -n)"

if [ "$(id -u)" -ne 0 ]; then
    log_error "The scripts of a template run as root, and this is $(id -un)"
    exit 1
fi

for file in /etc/motd /etc/issue /etc/hello.conf /usr/local/share/greeting.txt.gz; do
    if [ ! -s "$file" ]; then
        log_error "$file of this template has not arrived"
        exit 1
    fi
done
log_info "All files have arrived that were placed before the scripts"
