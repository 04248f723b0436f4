#!/bin/sh
# Runs a step of a template in this guest, also after the connection to the worker ends.
# The dashboard puts it beside helpers.sh in a folder of mode 0700, and removes both when the container is ready.
#
#   supervisor.sh run NONCE ID NAME TIMEOUT_S OFFSET LENGTH < script
#       starts step ID unless it exists, then prints its output from byte OFFSET on stdout until it has ended.
#       On stderr each line starts with NONCE: "beat", and finally "end OUTCOME EXIT_STATUS SIZE".
#       LENGTH: the length of the script in bytes. An incomplete script does not run.
#   supervisor.sh stop ID
#       ends step ID with all its processes. A step that never started will not start.
#
# OUTCOME: exit, timeout, cancelled, restarted (the guest was), or lost (the supervisor was killed).
# For any POSIX shell: dash, busybox, bash.

set -u
umask 077
base=${0%/*}
steps=$base/steps
grace_ticks=50      # tenths of a second between TERM and KILL
tick_s=0.02
idle_tick_s=0.05
start_ticks=500     # of tick_s: how long a supervisor may take to start

# Functions return values in variables: subshells would cost a guest more than the commands of most steps.
# Files hold one line, which is complete once its line end is there.

# started_at PID: $start, the start time of a process. Pid and start time identify a process until the node restarts.
started_at() {
    start=
    [ -r "/proc/$1/stat" ] || return 1
    { IFS= read -r stat_line <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat_line=${stat_line##*) }
    # shellcheck disable=SC2086
    set -- $stat_line
    shift 19
    start=$1
}

is_alive() { # PID START
    started_at "$1" && [ "$start" = "$2" ]
}

# $boot: a container's boot id is its node's, so the start time of its init distinguishes its boots.
this_boot() {
    IFS= read -r boot_id </proc/sys/kernel/random/boot_id
    started_at 1
    boot="$boot_id $start"
}

first_line() { # FILE: $got; false where there is no complete line
    got=
    { IFS= read -r got <"$1"; } 2>/dev/null
}

has_status() { # DIR: whether the step has a status, in $got
    first_line "$1/status"
}

write_status() { # DIR OUTCOME EXIT_STATUS SIZE: overwrites reserved space, so that a full disk cannot prevent it
    printf '%s\n' "$2 $3 $4" 1<>"$1/status"
}

claim() { # FILE: true for exactly one caller
    set -C
    { true >"$1"; } 2>/dev/null
    claimed=$?
    set +C
    return "$claimed"
}

nap() { # SECONDS, or longer where this guest's sleep knows no fractions
    sleep "$1" 2>/dev/null || usleep 20000 2>/dev/null || sleep 1
}

supervised() { # DIR: $sup_pid $sup_start
    first_line "$1/supervisor" || return 1
    sup_pid=${got%% *}
    got=${got#* }
    sup_start=${got%% *}
}

of_this_boot() { # DIR: whether its supervisor started after the guest booted
    this_boot
    first_line "$1/supervisor"
    case $got in *" $boot") return 0 ;; *) return 1 ;; esac
}

has_ended() { # DIR: also where the supervisor was killed without a status
    has_status "$1" && return 0
    supervised "$1" && of_this_boot "$1" && is_alive "$sup_pid" "$sup_start" && return 1
    return 0
}

# signal NAME DIR: to the step's group, and to processes of it in other sessions, such as dpkg below apt. False where no
# process is left.
signal() {
    kill "-$1" "-$group" 2>/dev/null
    remaining=$?
    if [ "$remaining" -ne 0 ] && is_alive "$group" "$leads_since"; then # not yet the leader of its group
        kill "-$1" "$group" 2>/dev/null && remaining=0
    fi
    # shellcheck disable=SC2013
    for place in $(grep -zlsF "LXC_DASHBOARD_STEP=$2/" /proc/[0-9]*/environ); do
        place=${place%/environ}
        kill "-$1" "${place#/proc/}" 2>/dev/null && remaining=0
    done
    return "$remaining"
}

# $now: hundredths of a second since the node booted, 0 where unknown. The leading 1 keeps "08" from being octal.
read_clock() {
    now=0
    { IFS=' .' read -r whole part _ </proc/uptime; } 2>/dev/null && now=$((whole * 100 + 1$part - 100))
}

end_group() { # DIR: TERM to all processes of the step, then KILL
    first_line "$1/group" || return 1
    group=${got%% *}
    leads_since=${got#* }
    of_this_boot "$1" || return 0
    signal TERM "$1"
    waited=0
    read_clock
    killed_at=$((now + grace_ticks * 10)) # ticks take longer in a guest under load
    while signal 0 "$1" && [ "$waited" -lt "$grace_ticks" ] && [ "$now" -lt "$killed_at" ]; do
        nap 0.1
        waited=$((waited + 1))
        read_clock
    done
    signal KILL "$1"
    return 0
}

watch_deadline() { # DIR TIMEOUT_S
    sleeping=
    trap 'kill "$sleeping" 2>/dev/null; exit' TERM
    sleep "$2" &
    sleeping=$!
    wait "$sleeping"
    has_status "$1" && return
    : >"$1/timeout"
    end_group "$1"
}

# How sh sources the helpers ($1) and the script ($0). A trace starts in the script: descriptor 3 carries its errors past
# the redirection that hides the `.` itself.
# shellcheck disable=SC2016
sourcing='{ lxcd_asked=$- && set +x; } 2>/dev/null; . "$1"; shift
case $lxcd_asked in *x*) set -x; { . "$0" 2>&3 3>&-; } 3>&2 2>/dev/null ;; *) . "$0" ;; esac'

# A shell starts background processes with INT and QUIT ignored, which daemons of the script would inherit.
find_plain_signals() { # $plain_signals: the command that resets them, if this guest has one; tested once
    if ! first_line "$base/plain_signals"; then
        env --default-signal=INT,QUIT true 2>/dev/null && got='env --default-signal=INT,QUIT'
        printf '%s\n' "$got" 2>/dev/null >"$base/plain_signals"
    fi
    plain_signals=$got
}

# The step's process, which becomes the leader of its session and group.
step() { # DIR NAME
    [ -e "$1/cancel" ] && exit 143
    umask 022 # as after a login: the files of a step belong to the guest
    cd /root 2>/dev/null || cd /
    script=$1/$2
    LXC_DASHBOARD_STEP=$1/
    export LXC_DASHBOARD_STEP
    find_plain_signals
    new_session="setsid $plain_signals"
    IFS= read -r shebang <"$script" || :
    interpreter=
    case $shebang in
    '#!'*)
        shebang=${shebang%"$(printf '\r')"}
        set -f
        # shellcheck disable=SC2086
        set -- ${shebang#'#!'}
        case ${1:-} in */env) shift ;; esac
        [ "${1:-}" = -S ] && shift
        command=${1:-}
        interpreter=${1##*/}
        shift
        for word; do # -v would print the helpers while they are read, so the helpers set it at their end
            shift
            case $word in
            --*) ;;
            -*v*)
                LXC_DASHBOARD_VERBOSE=1
                export LXC_DASHBOARD_VERBOSE
                word=$(printf '%s' "$word" | tr -d v)
                [ "$word" != - ] || continue
                ;;
            esac
            set -- "$@" "$word"
        done
        ;;
    *)
        set --
        interpreter='sh'
        command -v bash >/dev/null 2>&1 && interpreter=bash
        ;;
    esac
    case $interpreter in
    bash)
        if ! command -v bash >/dev/null 2>&1; then
            echo "This script needs bash, which this guest does not have. Add bash to the packages, or use #!/bin/sh"
            exit 127
        fi
        BASH_ENV=$base/helpers.sh
        export BASH_ENV
        exec $new_session bash "$@" "$script"
        ;;
    sh | dash | ash)
        # shellcheck disable=SC2016
        exec $new_session sh "$@" -c "$sourcing" "$script" "$base/helpers.sh"
        ;;
    *)
        case $command in
        -* | *=*) ;; # options and variables of env
        *) command -v "$command" >/dev/null 2>&1 || {
            echo "This script needs $command, which this guest does not have. Add it to the packages"
            exit 127
        } ;;
        esac
        chmod 700 "$script"
        exec $new_session "$script"
        ;;
    esac
}

# The supervisor, in a session without a connection. The process that makes the folder runs the step.
supervise() { # ID NAME TIMEOUT_S INCOMING
    dir=$steps/$1
    [ -d "$steps" ] || mkdir -p "$steps"
    if ! mkdir "$dir" 2>/dev/null; then
        rm -f "$4"
        return
    fi
    : >"$dir/out"
    printf '%-63s' '' >"$dir/status" # reserves space for the status, because the step may fill the disk
    this_boot
    started_at $$
    printf '%s\n' "$$ $start $boot" >"$dir/supervisor"
    exec >/dev/null # the caller waits until this output closes
    mv -f "$4" "$dir/$2"
    claim "$dir/begun" || return # another process has given this step up as lost
    watch_deadline "$dir" "$3" &
    watcher=$!
    (step "$dir" "$2") </dev/null >>"$dir/out" 2>&1 &
    leader=$!
    started_at "$leader"
    printf '%s\n' "$leader $start" >"$dir/group"
    wait "$leader"
    code=$?
    outcome='exit'
    if [ -e "$dir/timeout" ]; then outcome='timeout'; fi
    if [ -e "$dir/cancel" ]; then outcome='cancelled'; fi
    [ "$outcome" = exit ] || end_group "$dir" # other processes may outlive the leader
    size=$(wc -c <"$dir/out")
    write_status "$dir" "$outcome" "$code" "$((size))"
    kill "$watcher" 2>/dev/null
}

give_up() { # EXIT_STATUS REASON
    rm -f "$incoming"
    echo "$2" >&2
    exit "$1"
}

launch() { # ID NAME TIMEOUT_S LENGTH, script on stdin
    incoming=$base/incoming.$1.$$
    command -v setsid >/dev/null 2>&1 || give_up 95 "setsid is missing in this guest (package util-linux)"
    cat >"$incoming" || give_up 92 "the script cannot be stored in this guest"
    [ "$(($(wc -c <"$incoming")))" = "$4" ] || give_up 94 "the script arrived damaged"
    : "$(setsid sh "$0" supervise "$1" "$2" "$3" "$incoming" </dev/null 2>/dev/null &)" # returns when it has written its id
}

await_supervisor() { # DIR
    waited=0
    until first_line "$1/supervisor" || has_status "$1" || [ "$waited" -ge "$start_ticks" ]; do
        nap "$tick_s"
        waited=$((waited + 1))
    done
}

follow() { # NONCE DIR OFFSET
    if ! has_ended "$2"; then
        follow_with_tail "$@" "$sup_pid" || follow_by_turns "$@"
    elif has_status "$2"; then
        size=${got##* }
        [ "$size" -gt "$3" ] && tail -c "+$(($3 + 1))" "$2/out" | head -c "$((size - $3))"
    fi
}

# GNU tail sleeps until the file grows and ends after the supervisor. False with another tail.
follow_with_tail() { # NONCE DIR OFFSET PID
    tail -c "+$(($3 + 1))" -s "$tick_s" -f --pid="$4" "$2/out" 2>/dev/null &
    tailing=$!
    (
        trap '' PIPE
        while sleep 3 >/dev/null 2>&1; do
            kill -0 "$tailing" 2>/dev/null || exit
            # Another process has the pid, or the connection is closed.
            if { has_status "$2" && [ -e "/proc/$4" ]; } || ! printf '%s beat\n' "$1" >&2; then
                kill "$tailing" 2>/dev/null
                exit
            fi
        done
    ) &
    beating=$!
    wait "$tailing" 2>/dev/null
    tailed=$?
    kill "$beating" 2>/dev/null
    [ "$tailed" -ne 1 ] # status for an unknown option
}

# Without GNU tail: print what was added since the last turn, from a descriptor that keeps its position.
follow_by_turns() { # NONCE DIR OFFSET
    exec 3<"$2/out"
    [ "$3" -gt 0 ] && dd bs=1 skip="$3" count=0 <&3 2>/dev/null
    turns=0
    while :; do
        ended=
        has_ended "$2" && ended=1
        cat <&3 || exit 1
        [ -n "$ended" ] && break
        nap "$idle_tick_s"
        turns=$((turns + 1))
        if [ $((turns % 40)) -eq 0 ]; then printf '%s beat\n' "$1" >&2 || exit 1; fi
    done
    exec 3<&-
}

conclude() { # DIR: write the status of a step whose supervisor was killed
    if ! has_status "$1" && has_ended "$1" && ! has_status "$1"; then
        first_line "$1/supervisor" || claim "$1/begun" || return
        end_group "$1"
        size=0
        [ -e "$1/out" ] && size=$(wc -c <"$1/out")
        gone='lost'
        first_line "$1/supervisor" && ! of_this_boot "$1" && gone='restarted'
        write_status "$1" "$gone" 0 "$((size))"
    fi
}

run() { # NONCE ID NAME TIMEOUT_S OFFSET LENGTH
    dir=$steps/$2
    [ -d "$dir" ] || launch "$2" "$3" "$4" "$6"
    await_supervisor "$dir"
    follow "$1" "$dir" "$5"
    conclude "$dir"
    has_status "$dir" || exit 93
    printf '%s end %s\n' "$1" "$got" >&2
}

stop() { # ID
    dir=$steps/$1
    mkdir -p "$steps"
    if mkdir "$dir" 2>/dev/null; then
        : >"$dir/out"
        write_status "$dir" cancelled 143 0
        return
    fi
    : >"$dir/cancel"
    await_supervisor "$dir"
    waited=0
    while ! first_line "$dir/group" && ! has_ended "$dir" && [ "$waited" -lt 100 ]; do
        nap "$tick_s"
        waited=$((waited + 1))
    done
    has_status "$dir" || end_group "$dir"
    waited=0
    while ! has_ended "$dir" && [ "$waited" -lt 100 ]; do
        nap "$tick_s"
        waited=$((waited + 1))
    done
    conclude "$dir"
}

verb=$1
shift
case $verb in
run) run "$@" ;;
stop) stop "$@" ;;
supervise) supervise "$@" ;;
*) exit 64 ;;
esac
