#!/bin/bash
# Asks the application for its health, and for its private page with and without the token
# timeout: 120
set -euo pipefail

python3 - <<'PYTHON'
import time
import urllib.error
import urllib.request


def setting(file, name):
    with open(file, encoding="utf-8") as lines:
        return next(line.partition("=")[2].strip() for line in lines if line.startswith(f"{name}="))


def status(path, headers):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with direct.open(asked, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


port = setting("/etc/default/python-app", "PORT")
token = setting("/etc/python-app.env", "APP_TOKEN")
deadline = time.monotonic() + 60
while True:
    try:
        assert status("/health", {}) == 200, "/health does not answer with 200"
        break
    except (OSError, AssertionError) as error:
        if time.monotonic() > deadline:
            raise SystemExit(f"The application does not answer on port {port}: {error}")
        time.sleep(0.5)
assert status("/private", {}) == 401, "the private page is open without the token"
assert status("/private", {"Authorization": f"Bearer {token}"}) == 200, "the token is refused"
PYTHON
log_info "The application answers on its port"
