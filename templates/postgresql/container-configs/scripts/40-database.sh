#!/bin/bash
# Makes the role and the database "app", and hands the password to the dashboard
set -euo pipefail

kept=${LXC_DASHBOARD_CREDENTIALS:-/etc/lxc-dashboard/credentials}/postgresql
APP_PASSWORD=$(sed -n '/^PASSWORD=/{s///p;q}' "$kept" 2>/dev/null || :)
if [ -z "$APP_PASSWORD" ]; then
    APP_PASSWORD=$(generate_password 32)
    log_info "Made a new password for the role app"
else
    log_info "Kept the password of an earlier run"
fi
export APP_PASSWORD

# Saved first: should this script end here, the next run takes the same one.
save_credential postgresql USER app
save_credential postgresql DATABASE app
save_credential postgresql PORT 5432
save_credential postgresql PASSWORD "$APP_PASSWORD"

cd /
# The password goes by the environment: the command line is for everybody's eyes, and so is the log of failed statements.
runuser -u postgres -- psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --port 5432 --dbname postgres <<'SQL'
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
\getenv password APP_PASSWORD
SELECT 'CREATE ROLE app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') \gexec
ALTER ROLE app LOGIN PASSWORD :'password';
SELECT 'CREATE DATABASE app OWNER app' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'app') \gexec
REVOKE CONNECT ON DATABASE app FROM PUBLIC;
SQL
