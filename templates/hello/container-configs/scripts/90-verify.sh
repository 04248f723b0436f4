#!/bin/bash
# Checks that everything is in its place
set -euo pipefail

grep -q 'This guest greets' /opt/hello/greeting.txt
grep -q '^PASSWORD=.' /etc/lxc-dashboard/credentials/hello
log_info "The greeting and the credential are in their place"
