#!/bin/bash
# Starts the application as a service, with the code and the settings as they are now
set -euo pipefail

pidfile=/run/python-app.pid
# shellcheck disable=SC2016 # expanded by the shell that becomes the service
command='
set -a
. /etc/default/python-app
. /etc/python-app.env
exec /opt/app/venv/bin/python -m gunicorn --chdir /srv --bind "0.0.0.0:$PORT" --workers "$WORKERS" app:app
'

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable python-app
    systemctl restart python-app
else
    log_warn "This guest has no systemd: the application will not come back by itself after a restart"
    start-stop-daemon --stop --oknodo --quiet --retry 10 --pidfile "$pidfile" --remove-pidfile
    start-stop-daemon --start --quiet --background --no-close --make-pidfile --pidfile "$pidfile" \
        --chuid app:app --chdir /srv --startas /bin/sh -- -c "$command" </dev/null >>/var/log/python-app.log 2>&1
fi
log_info "The application was started"
