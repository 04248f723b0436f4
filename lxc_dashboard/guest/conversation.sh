# A shell in the guest that runs one command after the other, for as long as its input stays open.
#
# A request on stdin: a line "NONCE MARKER ARGV_BYTES INPUT_BYTES", the argv quoted for a shell and ended by NONCE, then
# the command's own input. MARKER is "-" where none is required.
# The answer, on stdout and on stderr each: "NONCE entered", the command's output, "NONCE left EXIT_STATUS".
# A guest with another marker answers "NONCE other MARKER" on stderr, and runs nothing.
#
# Written for any POSIX shell. dd reads exactly what it is asked for; head and cat would read the next request as well.

take() { # BYTES
    [ "$1" -lt 65536 ] || dd bs=65536 count=$(($1 / 65536)) iflag=fullblock 2>/dev/null
    [ $(($1 % 65536)) -eq 0 ] || dd bs=$(($1 % 65536)) count=1 iflag=fullblock 2>/dev/null
}

answer() { # WORD
    echo "$nonce $1"
    echo "$nonce $1" >&2
}

enter() {
    (
        eval "set -- $argv"
        exec "$@"
    )
    answer "left $?"
}

while read -r nonce marker argv_bytes input_bytes; do
    argv=$(take "$argv_bytes")
    case $argv in
    *"$nonce") argv=${argv%"$nonce"} ;;
    *) exit 1 ;; # cut off: nothing of it runs
    esac
    found=
    if [ -r "$marker_file" ]; then read -r found <"$marker_file" || :; fi
    if [ "$marker" != - ] && [ "$found" != "$marker" ]; then
        echo "$nonce other $found" >&2
        exit 96
    fi
    answer entered
    if [ "$input_bytes" -eq 0 ]; then
        enter </dev/null
    else
        # A command may end before it has read its input: what is left must not be taken for the next request.
        take "$input_bytes" | {
            enter
            cat >/dev/null
        }
    fi
done
