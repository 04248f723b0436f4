#!/bin/bash
# Asks SSH for its banner, and whether the user may come in with the password
# timeout: 60
set -euo pipefail

ask() {
    exec 3<>/dev/tcp/127.0.0.1/22 && IFS= read -r -t 5 line <&3 && printf '%s' "$line"
}

for try in $(seq 60); do
    banner=$(ask 2>/dev/null || :)
    case $banner in SSH-2.0-*) break ;; esac
    if [ "$try" = 60 ]; then
        log_error "Nothing speaks SSH at port 22: ${banner:-no answer}"
        exit 1
    fi
    sleep 0.5
done
log_info "SSH answers: $banner"

case $(passwd --status "$CONTAINER_USER") in
"$CONTAINER_USER P "*) log_info "$CONTAINER_USER has a password" ;;
*)
    log_error "$CONTAINER_USER has no password that opens"
    exit 1
    ;;
esac
settings=$(sshd -T -C "user=$CONTAINER_USER,host=localhost,addr=127.0.0.1")
if ! grep -qx 'passwordauthentication yes' <<<"$settings"; then
    log_warn "SSH takes no passwords by its settings: come in with a key"
fi
