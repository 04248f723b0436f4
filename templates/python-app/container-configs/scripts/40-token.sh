#!/bin/bash
# Makes the application's token once and hands it to the dashboard
set -euo pipefail

file=/etc/python-app.env

if ! grep -q '^APP_TOKEN=.' "$file" 2>/dev/null; then
    (umask 077 && printf 'APP_TOKEN=%s\n' "$(generate_password 32)" >"$file.new")
    mv -f "$file.new" "$file"
    log_info "Made a new token"
fi
chown root:app "$file"
chmod 640 "$file"
save_credential python-app TOKEN "$(sed -n 's/^APP_TOKEN=//p' "$file" | head -n 1)"
