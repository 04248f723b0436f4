# shellcheck shell=sh
# Functions for the scripts of templates. Sourced before the script, for any POSIX shell.
# No function ends the script: each returns its status, also under `set -eu` and `pipefail`.
# A trace (`-x`) shows only the script's lines: it is off in the functions, because `local -` gives each its own options.
# A shell without `local -` (bash before 4.4) also traces the functions.
# shellcheck disable=SC3043

{ lxcd_flags=$- && set +x; } 2>/dev/null
unset BASH_ENV
export DEBIAN_FRONTEND=noninteractive

CONTAINER_OS=
CONTAINER_OS_VERSION=
CONTAINER_USER=
# The shell reads the files itself: processes would cost a guest more than most scripts do.
lxcd_find_system() {
    while IFS='=' read -r lxcd_key lxcd_value || [ -n "$lxcd_key" ]; do
        lxcd_value=${lxcd_value#[\"\']}
        lxcd_value=${lxcd_value%[\"\']}
        case $lxcd_key in
        ID) CONTAINER_OS=$lxcd_value ;;
        VERSION_ID) CONTAINER_OS_VERSION=$lxcd_value ;;
        esac
    done </etc/os-release
}
lxcd_find_user() {
    while IFS=: read -r lxcd_name _ lxcd_id _; do
        [ "$lxcd_id" != 1000 ] || { CONTAINER_USER=$lxcd_name && return; }
    done </etc/passwd
}
[ ! -r /etc/os-release ] || lxcd_find_system
[ ! -r /etc/passwd ] || lxcd_find_user
: "${CONTAINER_OS:=unknown}"
export CONTAINER_OS CONTAINER_OS_VERSION CONTAINER_USER

log_info() {
    { local - && set +x; } 2>/dev/null || :
    printf '[info] %s\n' "$*"
}

log_warn() {
    { local - && set +x; } 2>/dev/null || :
    printf '[warn] %s\n' "$*"
}

log_error() {
    { local - && set +x; } 2>/dev/null || :
    printf '[error] %s\n' "$*" >&2
}

# is_installed NAME: whether a command or a package of this system exists.
is_installed() {
    { local - && set +x; } 2>/dev/null || :
    command -v "$1" >/dev/null 2>&1 && return 0
    if command -v dpkg-query >/dev/null 2>&1; then
        # shellcheck disable=SC2016
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || :)" = installed ]
    elif command -v apk >/dev/null 2>&1; then
        apk info -e "$1" >/dev/null 2>&1
    elif command -v rpm >/dev/null 2>&1; then
        rpm -q --quiet "$1" >/dev/null 2>&1
    else
        return 1
    fi
}

# ensure_installed NAME...: install missing packages with the system's package manager.
ensure_installed() {
    { local - && set +x; } 2>/dev/null || :
    for lxcd_name in "$@"; do
        shift
        is_installed "$lxcd_name" || set -- "$@" "$lxcd_name"
    done
    [ "$#" -gt 0 ] || return 0
    log_info "Installing $*"
    if command -v apt-get >/dev/null 2>&1; then
        wait_for_apt_lock 300 || return 1
        if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 2>/dev/null | head -n 1)" ]; then
            apt-get -o DPkg::Lock::Timeout=300 update || return 1
        fi
        lxcd_finish_dpkg || return 1
        # Without a terminal dpkg stays in the step's session and ends with it.
        apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@"
    elif command -v apk >/dev/null 2>&1; then
        apk add "$@"
    elif command -v dnf >/dev/null 2>&1; then
        dnf -y install "$@"
    else
        log_error "This guest has no apt, apk or dnf to install $*"
        return 1
    fi
}

# run_as_user COMMAND [ARGUMENT...]: run it as the user with uid 1000, in that user's home.
run_as_user() {
    { local - && set +x; } 2>/dev/null || :
    lxcd_entry=$(awk -F: '$3 == 1000 { print $1 ":" $6; exit }' /etc/passwd)
    if [ -z "$lxcd_entry" ]; then
        log_error "run_as_user: this guest has no user with uid 1000"
        return 1
    fi
    lxcd_user=${lxcd_entry%%:*}
    lxcd_home=${lxcd_entry#*:}
    # shellcheck disable=SC2016
    set -- env HOME="$lxcd_home" USER="$lxcd_user" LOGNAME="$lxcd_user" PATH="$PATH" \
        sh -c 'cd "$HOME" 2>/dev/null || cd /; exec "$@"' sh "$@"
    if command -v runuser >/dev/null 2>&1; then
        runuser -u "$lxcd_user" -- "$@"
    elif command -v setpriv >/dev/null 2>&1 && setpriv --help 2>&1 | grep -q -- --init-groups; then
        setpriv --reuid="$lxcd_user" --regid="$(id -g "$lxcd_user")" --init-groups "$@"
    else
        # Every su, including busybox's, takes options before a -- as its own, also after the user's name.
        # shellcheck disable=SC2016
        su -s /bin/sh -c 'exec "$@"' -- "$lxcd_user" sh "$@"
    fi
}

# wait_for_apt_lock [TIMEOUT_S]: wait until no other apt or dpkg runs, by default up to 300 s.
wait_for_apt_lock() {
    { local - && set +x; } 2>/dev/null || :
    lxcd_limit=${1:-300}
    lxcd_waited=0
    while lxcd_apt_is_locked; do
        if [ "$lxcd_waited" -ge "$lxcd_limit" ]; then
            log_error "apt is still locked by another process after $lxcd_limit s"
            return 1
        fi
        if [ $((lxcd_waited % 15)) -eq 0 ]; then
            log_info "Waiting for another apt or dpkg to end ($lxcd_waited s)"
        fi
        sleep 1
        lxcd_waited=$((lxcd_waited + 1))
    done
    return 0
}

# dpkg and apt take fcntl locks, which the kernel lists by inode, so fuser is not necessary.
lxcd_apt_is_locked() {
    [ -r /proc/locks ] || return 1
    for lxcd_file in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
        [ -e "$lxcd_file" ] || continue
        lxcd_inode=$(stat -c %i "$lxcd_file" 2>/dev/null) || continue
        if grep -q "WRITE .*:$lxcd_inode " /proc/locks 2>/dev/null; then
            return 0
        fi
    done
    return 1
}

# Finish the work of a killed apt: until then apt-get refuses to install packages.
lxcd_finish_dpkg() {
    if [ -z "$(ls /var/lib/dpkg/updates 2>/dev/null)" ]; then
        # shellcheck disable=SC2016
        case $(dpkg-query -W -f '${db:Status-Status}\n' 2>/dev/null) in *unpacked* | *half-* | *triggers-*) ;; *) return 0 ;; esac
    fi
    log_info "dpkg was interrupted: finishing its work"
    dpkg --force-confdef --force-confold --configure -a && return 0
    # Unpacked packages may depend on packages that are not unpacked.
    apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --fix-broken install
}

# generate_password [LENGTH]: print letters and digits from the kernel's random source, by default 24.
generate_password() {
    { local - && set +x; } 2>/dev/null || :
    lxcd_length=${1:-24}
    lxcd_password=
    while [ "${#lxcd_password}" -lt "$lxcd_length" ]; do
        lxcd_password=$lxcd_password$(head -c 512 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9')
    done
    printf '%s\n' "$lxcd_password" | cut -c "1-$lxcd_length"
}

# save_credential SERVICE KEY VALUE: store it for the dashboard in a file of mode 0600. Replaces an existing key.
save_credential() {
    { local - && set +x; } 2>/dev/null || :
    if [ "$#" -ne 3 ]; then
        log_error "save_credential: SERVICE, KEY and VALUE are required"
        return 2
    fi
    case $1 in
    '' | .* | *[!A-Za-z0-9._-]*)
        log_error "save_credential: SERVICE may contain letters, digits, dots, dashes and underscores"
        return 2
        ;;
    esac
    case $2 in
    '' | [0-9]* | *[!A-Za-z0-9_]*)
        log_error "save_credential: KEY may contain letters, digits and underscores"
        return 2
        ;;
    esac
    case $3 in
    *'
'*)
        log_error "save_credential: VALUE must be one line"
        return 2
        ;;
    esac
    (
        umask 077
        lxcd_folder=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}
        mkdir -p "$lxcd_folder" && chmod 700 "$lxcd_folder" || exit 1
        lxcd_new=$lxcd_folder/.$1.$$
        if [ -e "$lxcd_folder/$1" ]; then
            grep -v "^$2=" "$lxcd_folder/$1" >"$lxcd_new" || :
        else
            : >"$lxcd_new"
        fi
        printf '%s=%s\n' "$2" "$3" >>"$lxcd_new" && mv -f "$lxcd_new" "$lxcd_folder/$1"
    )
}

# The options of the script's first line take effect after the last line here.
lxcd_traces=
case $lxcd_flags in *x*) lxcd_traces=x ;; esac
[ -z "${LXC_DASHBOARD_VERBOSE-}" ] || lxcd_traces=v$lxcd_traces
unset LXC_DASHBOARD_VERBOSE
[ -z "$lxcd_traces" ] || set "-$lxcd_traces"
