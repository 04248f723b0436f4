#!/bin/bash
# Counts to three, so that the live log has something to show
# timeout: 30
# optional: yes
set -euo pipefail

for number in 1 2 3; do
    printf '\033[32m%s\033[0m of 3\n' "$number"
    sleep 0.3
done
