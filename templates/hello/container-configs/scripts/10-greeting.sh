#!/bin/bash
# Writes a greeting from the template's settings, and makes the folder that banner.txt waits for
set -euo pipefail

name=$(sed -n 's/^NAME=//p' /etc/hello.conf | head -n 1)

# banner.txt goes to this folder. It is held back until the scripts have made it.
mkdir -p /opt/hello

{
    gzip -dc /usr/local/share/greeting.txt.gz
    printf 'This guest greets %s.\n' "${name:-everybody}"
} >/opt/hello/greeting.txt.new
mv -f /opt/hello/greeting.txt.new /opt/hello/greeting.txt
log_info "Wrote /opt/hello/greeting.txt"
