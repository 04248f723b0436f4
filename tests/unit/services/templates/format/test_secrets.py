"""Text that is found as a secret, and text that must not be. All secrets here are invented or assembled from parts."""

from __future__ import annotations

import base64
import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.services.templates.format.secrets import MAX_FOUND, find_secrets
from lxc_dashboard.text import in_words_of

RANDOM = random.Random(20)  # noqa: S311 - the same made-up secrets each time


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


def seen(text: str, file: str = "") -> list[tuple[int, str]]:
    """The line and the kind of each secret found."""
    return [
        (secret.line, in_words_of(secret.message).removeprefix("looks like ").partition(" in plain text: ")[0])
        for secret in find_secrets(text, file)
    ]


def what(text: str, file: str = "") -> list[str]:
    return [kind for _, kind in seen(text, file)]


HEX_64 = letters(64, "0123456789abcdef")
KEY_44 = base64.b64encode(RANDOM.randbytes(32)).decode()
PEM = f"-----BEGIN {{}}PRIVATE KEY-----\n{letters(64)}\n{letters(64)}\n-----END {{}}PRIVATE KEY-----\n"


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "DSA ", "ENCRYPTED "])
def test_private_keys(kind: str) -> None:
    assert seen("# a key\n" + PEM.format(kind, kind)) == [(2, "a private key")]


@pytest.mark.parametrize(
    "text",
    [
        '{"private_key": "-----BEGIN PRIVATE KEY-----\\n' + letters(64) + '\\n"}',
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n" + letters(64),
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 2\n\n" + letters(64),
        "cat >key <<'EOF'\n-----BEGIN OPENSSH PRIVATE KEY-----\n" + letters(70) + "\nEOF\n",
        "AGE-SECRET-KEY-1" + letters(58, string.ascii_uppercase + string.digits),
        f"[Interface]\nPrivateKey = {KEY_44}\n",
    ],
)
def test_private_keys_wherever_they_stand(text: str) -> None:
    assert what(text) == ["a private key"]


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("AKIA" + letters(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "an AWS access key"),
        ("ghp_" + letters(36), "a GitHub token"),
        ("github_pat_" + letters(22) + "_" + letters(59), "a GitHub token"),
        ("glpat-" + letters(20), "a GitLab token"),
        ("xoxb-" + letters(12, string.digits) + "-" + letters(24), "a Slack token"),
        ("https://hooks.slack.com/services/T" + letters(8) + "/B" + letters(8) + "/" + letters(24), "a Slack webhook"),
        ("AIza" + letters(35), "a Google API key"),
        ("sk_live_" + letters(24), "a Stripe key"),
        ("npm_" + letters(36), "an npm token"),
        ("dop_v1_" + letters(64, "0123456789abcdef"), "a DigitalOcean token"),
        ("123456789:AA" + letters(33), "a Telegram bot's token"),
        ("hvs." + letters(24), "a Vault token"),
        ("eyJ" + letters(20) + ".eyJ" + letters(30) + "." + letters(43), "a JSON web token"),
        ("PVEAPIToken=root@pam!ci=6a8f4d1c-0b7e-4a52-9d3f-1f2e3d4c5b6a", "a PVE API token"),
    ],
)
@pytest.mark.parametrize("line", ["export X='{}'", "# {}", "curl -H 'Authorization: {}' http://h", "  - {}"])
def test_tokens_of_a_known_make(token: str, name: str, line: str) -> None:
    assert seen(f"true\n{line.format(token)}\ntrue\n") == [(2, name)]


@pytest.mark.parametrize(
    "line",
    [
        "DB_PASSWORD=hunter22",
        "export MYSQL_ROOT_PASSWORD='Winter15cold'",
        'local password="s3cr3t!"',
        "readonly ADMIN_PASS=letmein1",
        "password = correcthorse",
        "  db_password: swordfish",
        '"password": "swordfish",',
        "  'passwd' => 'swordfish',",
        'DB_PASSWORD="${DB_PASSWORD:-swordfish}"',
        "POSTGRES_PASSWORD=postgres",
        "docker run -e POSTGRES_PASSWORD=swordfish postgres",
        "mysql --password=swordfish app",
        "dsn='host=db user=app password=swordfish dbname=app'",
        "requirepass swordfish",
        "<password>swordfish</password>",
        "echo 'root:swordfish' | chpasswd",
        'echo "root:swordfish" | sudo chpasswd',
        "psql -c \"ALTER ROLE app WITH PASSWORD 'swordfish'\"",
        "CREATE USER app IDENTIFIED BY 'swordfish';",
        "curl -fsS -u admin:swordfish http://localhost/",
        "sshpass -p swordfish ssh host",
        "htpasswd -bc /etc/nginx/htpasswd admin swordfish",
        "openssl rsa -in k -passout pass:swordfish",
        "git clone https://deploy:sw0rdfish@git.lan/app.git",
        "DATABASE_URL=postgresql://app:sw0rdfish@db/app",
        "save_credential app PASSWORD swordfish",
        "DB_PASSWORD=hunter22  # not for long",
        "passphrase: swordfish",
    ],
)
def test_literal_passwords(line: str) -> None:
    assert seen(f"#!/bin/bash\n{line}\n") == [(2, "a password")]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"ENCRYPTION_KEY={HEX_64}", "a secret"),
        (f"SECRET_KEY = '{letters(50)}'", "a secret"),
        (f"api_token: {letters(32, '0123456789abcdef')}", "a secret"),
        (f'"client_secret": "{letters(24)}"', "a secret"),
        (f"aws_secret_access_key = {letters(40)}", "a secret"),
        (f"export RESTIC_KEY={HEX_64}", "a key"),
        (f"BLOB={KEY_44}", "a random value, as keys and tokens are"),
    ],
)
def test_literals_as_random_as_keys(line: str, name: str) -> None:
    assert what(line) == [name]


@pytest.mark.parametrize(
    "line",
    [
        # generated, read or set elsewhere
        "password=$(generate_password)",
        'password="$(generate_password 32)"',
        "password=`openssl rand -hex 16`",
        'DB_PASSWORD="$DB_PASSWORD"',
        'DB_PASSWORD="${DB_PASSWORD:-}"',
        'DB_PASSWORD="${DB_PASSWORD:?is missing}"',
        'DB_PASSWORD="${DB_PASSWORD:-$(generate_password)}"',
        'DB_PASSWORD=""',
        "DB_PASSWORD=",
        "local password token",
        "read -r -s password",
        "password=$1",
        'save_credential app PASSWORD "$password"',
        'save_credential app PASSWORD "$(generate_password)"',
        'if [ "$password" = "" ]; then',
        'echo "root:$password" | chpasswd',
        "psql -c \"ALTER ROLE app WITH PASSWORD '$password'\"",
        'mysql --password="$password" app',
        "echo \"password='$password'\" >>/etc/app.conf",
        'curl -fsS -u "admin:$password" http://localhost/',
        'git clone "https://deploy:$TOKEN@git.lan/app.git"',
        'sed -i "s/^password=.*/password=$password/" /etc/app.conf',
        "grep -q '^password=' /etc/app.conf",
        "PASSWORD_FILE=/run/secrets/db",
        "password_file = /etc/app/password",
        "password=/etc/app/password",
        "secret: /run/secrets/app-2024-token",
        "PASSWORD_LENGTH=24",
        "password = getpass.getpass()",
        # settings with similar names
        "PasswordAuthentication no",
        "password_encryption = scram-sha-256",
        "passwd:         files systemd",
        "token: required",
        "AUTH=pam_unix2",
        "proxy_pass http://127.0.0.1:8080;",
        "proxy_pass=backend01",
        "pass=true",
        "bypass=everything",
        "challengePassword = A challenge password",
        "PWD=/opt/app",
        "OLDPWD=somewhere1",
        "max_token=4096",
        # placeholders
        "password: <your password>",
        "DB_PASSWORD=CHANGE_ME",
        "DB_PASSWORD=__DB_PASSWORD__",
        "DB_PASSWORD=@DB_PASSWORD@",
        "password = {{ db_password }}",
        "password=xxxxxxxx",
        'password="********"',
        "password = %(password)s",
        "api_key=your-api-key-1",
        "postgresql://user:password@host/database",
        "SECRET_KEY=development",
        "AKIAIOSFODNN7EXAMPLE",
        # public by nature
        f"SHA256={HEX_64}",
        f"sha256sum: {HEX_64}",
        f"COMMIT={letters(40, '0123456789abcdef')}",
        f"image: nginx@sha256:{HEX_64}",
        f"GPG_KEY={letters(40, '0123456789ABCDEF')}",
        f"PublicKey = {KEY_44}",
        "HOST_KEY='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI'",
        f"deploy_key=ssh-ed25519AAAAC3{letters(40)}",
        "machine-id=0f8fad5b-d9cb-469f-a165-70867728950e",
        "signing_key=/usr/share/keyrings/docker-archive-keyring.gpg",
        "key_url=https://packages.grafana.com/gpg.key",
        "KEY=https://deb.nodesource.com/gpgkey/nodesource-repo.gpg.key",
        "deb [signed-by=/usr/share/keyrings/pgdg.gpg] https://apt.postgresql.org/pub/repos/apt trixie-pgdg main",
        "URL=https://github.com/prometheus/node_exporter/releases/download/v1.8.2/node_exporter-1.8.2.linux-amd64.tar.gz",
        # text about keys
        "grep -q 'BEGIN OPENSSH PRIVATE KEY' \"$file\"",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        'log_info "The password is in the credentials of the dashboard"',
        # comments
        "# password=swordfish",
        "  ; password = swordfish",
        "// password = 'swordfish'",
    ],
)
def test_what_is_no_secret(line: str) -> None:
    assert find_secrets(f"#!/bin/bash\n{line}\ntrue\n") == ()


def test_in_a_program_a_bare_word_is_a_variable() -> None:
    assert what("login(user, password=entered)\ntoken = session.token1234\n", "app/main.py") == []
    assert what("login(user, password='swordfish')\n", "app/main.py") == ["a password"]
    assert what("password=entered\n", "app.conf") == ["a password"]


def test_each_line_is_told_once_and_its_value_never() -> None:
    token = "ghp_" + letters(36)
    text = f"PASSWORD=swordfish TOKEN={token}\nPASSWORD=swordfish\n"
    assert seen(text) == [(1, "a GitHub token"), (2, "a password")]
    told = str(find_secrets(text))
    assert (token in told, "swordfish" in told) == (False, False)


def test_of_very_many_the_first_are_told() -> None:
    assert [s.line for s in find_secrets("PASSWORD=swordfish\n" * 1000)] == list(range(1, MAX_FOUND + 1))


@given(st.text())
def test_any_text_is_looked_at_without_a_failure(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= secret.line <= lines for secret in find_secrets(text))


@given(
    st.text(st.sampled_from("ab1 '\"\\$={}():/@-_;|\n"), max_size=60),
    st.sampled_from(["password=", "PASSWORD: ", "token=", "curl -u a:", "://a:b@", "-----BEGIN PRIVATE KEY-----"]),
    st.text(st.sampled_from("ab1 '\"\\$={}():/@-_;|\n"), max_size=60),
)
def test_any_company_of_the_words_is_looked_at_without_a_failure(before: str, word: str, after: str) -> None:
    text = f"{before}{word}{after}"
    assert all(1 <= secret.line <= text.count("\n") + 1 for secret in find_secrets(text))


@pytest.mark.parametrize(
    "line",
    ["key=" * 250, "a://b:" * 160, "curl " * 200, "a." * 480 + "://", 'key="' * 200, "<key>a" * 160, "-" * 990 + "key"],
)
def test_no_line_makes_it_slow(line: str) -> None:
    begun = time.process_time()
    find_secrets((line[:1000] + "\n") * 500)
    assert time.process_time() - begun < 10
