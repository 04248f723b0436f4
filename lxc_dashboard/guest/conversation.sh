# A shell in the guest that runs commands in turn until its input ends.
#
# A request on stdin: a line "NONCE MARKER ARGV_BYTES INPUT_BYTES", then the argv, quoted for a shell and ended by NONCE,
# then the command's input. MARKER is "-" where none is required.
# The answer, on both stdout and stderr: "NONCE entered", the command's output, "NONCE left EXIT_STATUS".
# A guest with another marker answers "NONCE other MARKER" on stderr and runs nothing.
#
# For any POSIX shell. dd reads the exact number of bytes, where head and cat would also read the next request.

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
    *) exit 1 ;; # incomplete: run nothing
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
        # A command may end before it has read its input. The rest must not become the next request.
        take "$input_bytes" | {
            enter
            cat >/dev/null
        }
    fi
done
