from __future__ import annotations

from pathlib import Path

import pytest

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.settings import Settings

GOOD = {
    "DATABASE_URL": "postgresql://u:pw@127.0.0.1/db",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "ENCRYPTION_KEY": "ab" * 32,
}


def test_each_missing_variable_is_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Settings.load({})
    assert caught.value.fields == {
        "DATABASE_URL": "is not set",
        "REDIS_URL": "is not set",
        "ENCRYPTION_KEY": "is not set",
    }


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("ENCRYPTION_KEY", "abc", "64 hex"),
        ("OLD_ENCRYPTION_KEYS", "abc", "64 hex"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("REDIS_URL", "http://x", "redis://"),
        ("REDIS_URL", "unix:///run/redis.sock", "redis://"),
        ("REDIS_URL", "redis://:pw@x:port/0", "port"),
        ("REDIS_URL", "redis://:pw@x:6379/cache", "number of a database"),
        ("PVE_FINGERPRINT", "AA:BB", "SHA-256"),
        ("PVE_PORT", "0", "greater"),
        ("PVE_HOST", "http://pve.lan", "https://"),
        ("PVE_HOST", "https://root@pve.lan/api2/json", "https://"),
        ("PVE_HOST", "pve.lan:x", "https://"),
        ("PVE_HOST", "https://pve.lan:0", "port 0"),
        ("PVE_HOST", "pve.lan:0", "port 0"),
        ("PVE_HOST", "[::1", "https://"),
        ("PVE_HOST", "pve one", "https://"),
        ("PVE_HOST", "https://pve one:8006", "https://"),
        ("PORT", "http", "integer"),
        ("PUBLIC_URL", "lxc.example.org", "full address"),
        ("TEMPLATE_GIT_FILE_ROOT", "/nonexistent/git", "no such folder"),
        ("PVE_CA_FILE", "/nonexistent/ca.pem", "no such file"),
        ("TEMPLATES_DIR", "/nonexistent", "no such folder"),
        ("TRUSTED_PROXIES", "10.0.0.1, proxy.example", "addresses and networks"),
        ("LOG_LEVEL", "verbose", "WARNING"),
    ],
)
def test_a_wrong_variable_is_named_with_its_fault_and_without_its_value(name: str, value: str, fault: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Settings.load({**GOOD, name: value})
    assert fault in caught.value.fields[name]
    assert "pw@" not in str(caught.value)


def test_what_is_right_is_taken_as_it_stands(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    given = {"TRUSTED_PROXIES": "10.0.0.0/8, ::1,", "LOG_LEVEL": "warning", "PVE_CA_FILE": str(ca)}
    settings = Settings.load({**GOOD, **given})
    assert {name: getattr(settings, name) for name in given} == given


def test_a_ca_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    ca = tmp_path / "ca.der"
    ca.write_bytes(b"0\x82\xff\xfe")
    with pytest.raises(InvalidInputError) as caught:
        Settings.load({**GOOD, "PVE_CA_FILE": str(ca)})
    assert "PEM" in caught.value.fields["PVE_CA_FILE"]


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("cd" * 32 + "\n")
    settings = Settings.load({**GOOD, "ENCRYPTION_KEY_FILE": str(file)})
    assert settings.ENCRYPTION_KEY.get_secret_value() == "cd" * 32


def test_a_secret_file_that_cannot_be_read_fails_loudly() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Settings.load({**GOOD, "REDIS_URL_FILE": "/nonexistent/redis"})
    assert "cannot be read" in caught.value.fields["REDIS_URL_FILE"]


def test_proxmox_names_stand_in_where_pve_names_are_absent() -> None:
    settings = Settings.load({**GOOD, "PROXMOX_HOST": "pve.lan", "PROXMOX_PORT": "8443"})
    assert (settings.endpoint().host, settings.endpoint().port) == ("pve.lan", 8443)
    both = Settings.load({**GOOD, "PVE_HOST": "a.lan", "PROXMOX_HOST": "b.lan"})
    assert both.endpoint().host == "a.lan"


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("PVE.lan", "PVE.lan", 8006),
        ("pve.lan:8443", "pve.lan", 8443),
        ("https://pve.lan:8006/", "pve.lan", 8006),
        ("https://pve.example.org", "pve.example.org", 443),
        ("10.0.0.5", "10.0.0.5", 8006),
        ("2001:db8::5", "2001:db8::5", 8006),
        ("[2001:db8::5]", "2001:db8::5", 8006),
        ("https://[2001:db8::5]:8443", "2001:db8::5", 8443),
        ("fe80::1%eth0", "fe80::1%eth0", 8006),
    ],
)
def test_the_host_may_be_given_as_an_address_bar_has_it(given: str, host: str, port: int) -> None:
    endpoint = Settings.load({**GOOD, "PVE_HOST": given}).endpoint()
    assert (endpoint.host, endpoint.port) == (host, port)
    assert Settings.load({**GOOD, "PVE_HOST": host, "PVE_PORT": "9000"}).endpoint().port == 9000


def test_a_port_in_the_host_and_another_beside_it_are_a_fault() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Settings.load({**GOOD, "PVE_HOST": "pve.lan:8443", "PVE_PORT": "8006"})
    assert "PVE_PORT" in caught.value.fields


def test_a_ca_file_is_read_into_the_endpoint(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("PEM")
    assert Settings.load({**GOOD, "PVE_CA_FILE": str(file)}).endpoint().ca_pem == "PEM"


def test_tls_verification_is_off_only_when_said() -> None:
    assert Settings.load(GOOD).endpoint().verify_tls
    assert not Settings.load({**GOOD, "PVE_VERIFY_TLS": "false"}).endpoint().verify_tls


def test_old_keys_are_a_list_and_secrets_are_not_printed() -> None:
    settings = Settings.load({**GOOD, "OLD_ENCRYPTION_KEYS": f"{'01' * 32}, {'02' * 32}"})
    assert [key.get_secret_value() for key in settings.OLD_ENCRYPTION_KEYS] == ["01" * 32, "02" * 32]
    assert "abab" not in repr(settings)
    assert "pw@" not in repr(settings)


def test_template_folders_are_the_shipped_one_and_the_operators(tmp_path: Path) -> None:
    folders = dict(Settings.load({**GOOD, "TEMPLATES_DIR": str(tmp_path)}).template_folders())
    assert folders["templates-dir"] == tmp_path
    assert folders["shipped"].name in {"templates", "shipped_templates"}
