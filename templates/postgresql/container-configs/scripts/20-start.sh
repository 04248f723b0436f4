#!/bin/bash
# Starts PostgreSQL with the settings as they are now
# timeout: 300
set -euo pipefail

version=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/postgres' | cut -d / -f 5 | sort -V | tail -n 1)

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable postgresql
    systemctl restart "postgresql@$version-main"
    systemctl start postgresql # the unit that stands for all clusters
else
    log_warn "This guest has no systemd: PostgreSQL starts with it only where its runlevels are used"
    # 2: it does not run. The directory is what systemd would make.
    install -d -o postgres -g postgres -m 2775 /run/postgresql
    pg_ctlcluster "$version" main stop --mode fast || [ "$?" -eq 2 ]
    pg_ctlcluster "$version" main start </dev/null
fi

for _ in $(seq 60); do
    if pg_isready --quiet --port 5432; then
        log_info "PostgreSQL $version takes connections"
        exit 0
    fi
    sleep 0.5
done
pg_lsclusters
log_error "PostgreSQL $version takes no connections after 30 s"
exit 1
