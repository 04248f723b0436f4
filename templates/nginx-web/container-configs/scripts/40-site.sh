#!/bin/bash
# Puts the site in force in place of Debian's example
set -euo pipefail

available=/etc/nginx/sites-available/site.conf

ensure_installed nginx

# index.html goes to this folder. It is held back until the scripts have made it.
mkdir -p /var/www/site

cp /usr/local/share/nginx-site.conf "$available.new"
if [ ! -e /proc/net/if_inet6 ]; then
    log_warn "This guest has no IPv6: the site listens on IPv4 only"
    sed -i '/listen \[::\]/d' "$available.new"
fi
mv -f "$available.new" "$available"
ln -sfn "$available" /etc/nginx/sites-enabled/site.conf
rm -f /etc/nginx/sites-enabled/default

nginx -t
