#!/bin/bash
# Starts SSH with this guest's settings
set -euo pipefail

settings=/etc/ssh/sshd_config.d/50-lxc-dashboard.conf

# Written once, and then the operator's.
if [ ! -e "$settings" ]; then
    cat >"$settings.new" <<'CONF'
# Root comes in with a key, or through Proxmox VE's console; people come in with a key or their password.
PermitRootLogin prohibit-password
PasswordAuthentication yes
PermitEmptyPasswords no
X11Forwarding no
CONF
    mv -f "$settings.new" "$settings"
fi

install -d -m 755 /run/sshd
ssh-keygen -A >/dev/null
sshd -t

if [ -d /run/systemd/system ]; then
    systemctl enable ssh
    systemctl restart ssh
else
    log_warn "This guest has no systemd: SSH starts with it only where its runlevels are used"
    service ssh restart </dev/null
fi
log_info "SSH was started"
