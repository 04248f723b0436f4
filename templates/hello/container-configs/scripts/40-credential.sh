#!/bin/bash
# Makes a password once and hands it to the dashboard
set -euo pipefail

file=/opt/hello/password

if [ ! -s "$file" ]; then
    (umask 077 && generate_password 20 >"$file")
    log_info "Made a new password"
else
    log_info "Kept the password of an earlier run"
fi
save_credential hello PASSWORD "$(cat "$file")"
