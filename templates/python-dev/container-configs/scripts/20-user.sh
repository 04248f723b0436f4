#!/bin/bash
# Makes the user who works here, with a password that the dashboard keeps
set -euo pipefail

if [ -z "$CONTAINER_USER" ]; then
    useradd --uid 1000 --user-group --create-home --shell /bin/bash dev
    CONTAINER_USER=dev
    log_info "Made the user dev"
fi
home=$(getent passwd "$CONTAINER_USER" | cut -d : -f 6)

kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/ssh
password=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept" 2>/dev/null || :)
if [ -z "$password" ]; then
    password=$(generate_password 24)
    save_credential ssh USER "$CONTAINER_USER"
    save_credential ssh PORT 22
    save_credential ssh PASSWORD "$password"
    printf '%s:%s\n' "$CONTAINER_USER" "$password" | chpasswd
    log_info "Made a new password for $CONTAINER_USER"
else
    log_info "Left the password of $CONTAINER_USER as it is"
fi

# The keys that were given when the container was made are root's: they are good for this user as well.
if [ -s /root/.ssh/authorized_keys ]; then
    install -d -o "$CONTAINER_USER" -g "$CONTAINER_USER" -m 700 "$home/.ssh"
    own=$home/.ssh/authorized_keys
    touch "$own"
    while IFS= read -r key; do
        # The one that this run itself comes in with is taken from root when it is done: nobody else is to have it.
        case $key in '' | '#'* | *' lxc-dashboard creation '*) continue ;; esac
        if ! grep -qxF -- "$key" "$own"; then printf '%s\n' "$key" >>"$own"; fi
    done </root/.ssh/authorized_keys
    chown "$CONTAINER_USER:$CONTAINER_USER" "$own"
    chmod 600 "$own"
fi
