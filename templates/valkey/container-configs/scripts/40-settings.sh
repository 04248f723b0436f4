#!/bin/bash
# Makes the password once, hands it to the dashboard, and puts this guest's settings in force
set -euo pipefail

main=/etc/valkey/valkey.conf
kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/valkey

password=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept" 2>/dev/null || :)
if [ -z "$password" ]; then
    password=$(generate_password 40)
    log_info "Made a new password"
else
    log_info "Kept the password of an earlier run"
fi
save_credential valkey PORT 6379
save_credential valkey PASSWORD "$password"

put() { # FILE: from stdin, for Valkey to read and nobody else
    (umask 077 && cat >"$1.new")
    chown root:valkey "$1.new"
    chmod 640 "$1.new"
    mv -f "$1.new" "$1"
}

install -o root -g valkey -m 640 /usr/local/share/valkey-site.conf /etc/valkey/site.conf.new
mv -f /etc/valkey/site.conf.new /etc/valkey/site.conf
printf 'requirepass %s\n' "$password" | put /etc/valkey/password.conf

# The rest is for copies of pages while the file is written anew, and for clients' buffers.
memory_kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
printf '# Written by 40-settings.sh from the memory of this guest: 60 %% of it.\nmaxmemory %dmb\n' \
    $((memory_kib * 60 / 100 / 1024)) | put /etc/valkey/memory.conf

# What is included last goes before what Debian's file says.
for file in memory site password; do
    line="include /etc/valkey/$file.conf"
    grep -qxF "$line" "$main" || printf '%s\n' "$line" >>"$main"
done

if [ "$(cat /proc/sys/vm/overcommit_memory)" = 0 ]; then
    log_warn "Saving needs free memory for a copy: vm.overcommit_memory=1, set on the node, avoids failures there"
fi
