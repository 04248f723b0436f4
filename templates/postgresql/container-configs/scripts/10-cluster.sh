#!/bin/bash
# Makes the cluster "main" where the packages have not, and puts this guest's settings in force
set -euo pipefail

version=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/postgres' | cut -d / -f 5 | sort -V | tail -n 1)
if [ -z "$version" ]; then
    log_error "No PostgreSQL server is installed"
    exit 1
fi

settings=/etc/postgresql/$version/main
data=/var/lib/postgresql/$version/main
if [ -s "$settings/postgresql.conf" ]; then data=$(pg_conftool --short "$version" main show data_directory); fi
kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/postgresql

if [ ! -s "$data/PG_VERSION" ]; then
    # Never over what an earlier run has made: a volume may only be missing.
    if [ -s "$kept" ]; then
        log_error "There was a database in $data and there is none now: bring it back, or remove $kept to begin anew"
        exit 1
    fi
    if [ -d "$settings" ]; then
        log_warn "$settings has no data: it is kept as $settings.without-data"
        mv "$settings" "$settings.without-data"
    fi
    data=/var/lib/postgresql/$version/main
    pg_createcluster --port 5432 "$version" main -- --data-checksums --auth-local=peer --auth-host=scram-sha-256
fi

ln -sfn /usr/local/share/postgresql-site.conf "$settings/conf.d/50-site.conf"

# A quarter of the memory is PostgreSQL's own cache; the rest of it works as the system's.
memory_kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
cache_mib=$((memory_kib / 1024 / 4))
if [ "$cache_mib" -gt 8192 ]; then cache_mib=8192; fi
{
    printf '# Written by 10-cluster.sh from the memory of this guest. What 50-site.conf says goes before it.\n'
    printf "shared_buffers = '%dMB'\n" "$cache_mib"
    printf "effective_cache_size = '%dMB'\n" $((cache_mib * 3))
} >"$settings/conf.d/10-memory.conf.new"
mv -f "$settings/conf.d/10-memory.conf.new" "$settings/conf.d/10-memory.conf"

# Logins with a password from the networks that this guest is in, and from nowhere else.
rule='host    all             all             samenet                 scram-sha-256'
if ! grep -qxF "$rule" "$settings/pg_hba.conf"; then
    printf '\n# The networks of this guest, added by 10-cluster.sh\n%s\n' "$rule" >>"$settings/pg_hba.conf"
fi
log_info "PostgreSQL $version keeps its data in $data"
