"""The shipped templates have no finding, and their scripts are clean."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager, new_id
from lxc_dashboard.guest.keys import KeyPair
from lxc_dashboard.services.creation.opening import KEY_COMMENT
from lxc_dashboard.services.templates.model import TemplateContent
from lxc_dashboard.services.templates.sources.folder import discover

ROOT = Path(__file__).parents[4] / "templates"
SHELLCHECK = Path(sysconfig.get_path("scripts"), "shellcheck")
SHIPPED = [
    "docker",
    "hello",
    "nginx-web",
    "node-dev",
    "node-exporter",
    "postgresql",
    "python-app",
    "python-dev",
    "valkey",
    "wireguard",
]
# How each verification queries its service.
ASKED = {
    "docker": "docker run",
    "nginx-web": "/health",
    "node-dev": "npm run",
    "node-exporter": "/metrics",
    "postgresql": "psql",
    "python-app": "/health",
    "python-dev": "-m pip",
    "valkey": "ping",
    "wireguard": "wg show",
}
CHECKS, CORE, VERIFICATION = range(10), range(10, 90), range(90, 100)
SCRIPTS = sorted(ROOT.glob("*/container-configs/scripts/*.sh"))


@pytest.fixture(scope="module")
def shipped() -> dict[str, TemplateContent]:
    discovery = discover(ROOT)
    assert discovery.refused == ()
    return {template.name: template for template in discovery.found}


def test_the_shipped_templates_have_not_without_a_finding(shipped: dict[str, TemplateContent]) -> None:
    assert sorted(shipped) == SHIPPED
    assert all(template.warnings == () for template in shipped.values())


def test_none_is_privileged_and_all_say_their_system(shipped: dict[str, TemplateContent]) -> None:
    assert {template.config.unprivileged for template in shipped.values()} == {True}
    assert {(template.config.os, template.config.version) for template in shipped.values()} == {("debian", "13")}


def test_hello_needs_no_network_and_shows_every_policy(shipped: dict[str, TemplateContent]) -> None:
    hello = shipped["hello"]
    assert hello.buckets == ()
    assert {file.policy for file in hello.files} == set(FilePolicy)
    assert "/opt/hello/banner.txt" in {file.target for file in hello.files}
    assert any(script.optional for script in hello.scripts)
    assert any("save_credential" in script.content for script in hello.scripts)
    fetching = ("curl", "wget", "apt-get", "ensure_installed", "pip install")
    assert not [script.name for script in hello.scripts if any(word in script.content for word in fetching)]


def test_the_python_application_brings_apt_pip_and_custom_packages(shipped: dict[str, TemplateContent]) -> None:
    managers = {bucket.manager for bucket in shipped["python-app"].buckets}
    assert managers == {PackageManager.APT, PackageManager.PIP, PackageManager.CUSTOM}


def test_every_script_stops_at_its_first_failure_and_says_what_it_does(shipped: dict[str, TemplateContent]) -> None:
    for template in shipped.values():
        assert template.scripts[0].name.startswith("00-")
        assert template.scripts[-1].name.startswith("9")
        for script in template.scripts:
            assert script.content.startswith("#!/bin/bash\n")
            assert "\nset -euo pipefail\n" in script.content
            assert script.description


@pytest.mark.parametrize("name", SHIPPED)
def test_every_template_keeps_credentials_or_says_why_there_are_none(
    shipped: dict[str, TemplateContent], name: str
) -> None:
    template = shipped[name]
    saves = any("save_credential" in script.content for script in template.scripts)
    assert saves != ("No credentials:" in template.config.description)


@pytest.mark.parametrize("name", sorted(ASKED))
def test_every_service_is_asked_at_the_end(shipped: dict[str, TemplateContent], name: str) -> None:
    last = [script.content for script in shipped[name].scripts if number_of(script.name) in VERIFICATION]
    assert ASKED[name] in "".join(last)


def test_scripts_are_numbered_by_what_they_are_for(shipped: dict[str, TemplateContent]) -> None:
    for template in shipped.values():
        numbers = [number_of(script.name) for script in template.scripts]
        assert numbers == sorted(numbers)
        assert [kind for kind in (CHECKS, CORE, VERIFICATION) if not set(numbers) & set(kind)] in (
            [],
            [CORE],
        ), template.name


def number_of(name: str) -> int:
    return int(name.partition("-")[0])


def test_packages_come_from_the_system_alone_but_for_the_python_application(
    shipped: dict[str, TemplateContent],
) -> None:
    managers = {name: {bucket.manager for bucket in template.buckets} for name, template in shipped.items()}
    others = {name for name, found in managers.items() if found - {PackageManager.APT}}
    assert others == {"python-app"}


def test_a_made_secret_is_kept_by_the_next_run(shipped: dict[str, TemplateContent]) -> None:
    makers = [
        script for template in shipped.values() for script in template.scripts if "generate_password" in script.content
    ]
    assert makers
    assert not [script.name for script in makers if "if " not in script.content]


def test_only_docker_asks_for_more_than_nesting(shipped: dict[str, TemplateContent]) -> None:
    more = {name for name, template in shipped.items() if template.config.keyctl or template.config.fuse}
    assert more == {"docker"}


def test_hello_alone_waits_for_no_address(shipped: dict[str, TemplateContent]) -> None:
    offline = {name: template for name, template in shipped.items() if not template.config.network}
    assert set(offline) == {"hello"}
    assert not offline["hello"].buckets


@pytest.mark.parametrize("name", ["node-dev", "python-dev"])
def test_the_key_that_a_creation_comes_in_with_is_not_handed_on(
    shipped: dict[str, TemplateContent], name: str, tmp_path: Path
) -> None:
    """The job's own key is removed from root's keys at the end. The user does not get it, and other keys stay."""
    own = KeyPair.make("somebody@laptop").public
    passing = KeyPair.make(KEY_COMMENT.format(id=new_id())).public
    root = tmp_path / "root"
    root.mkdir()
    (root / "authorized_keys").write_text(f"# --- BEGIN PVE ---\n{own}\n{passing}\n# --- END PVE ---\n\n")
    content = next(script.content for script in shipped[name].scripts if script.name == "20-user.sh")
    stubs = f"""
CONTAINER_USER=dev
getent() {{ echo "dev:x:1000:1000::{tmp_path}:/bin/bash"; }}
install() {{ mkdir -p "${{!#}}"; }}
chown() {{ :; }}; chpasswd() {{ cat >/dev/null; }}; save_credential() {{ :; }}; log_info() {{ :; }}
generate_password() {{ echo word; }}
"""
    script = stubs + content.replace("/root/.ssh", str(root))
    for _ in range(2):
        subprocess.run(["bash"], input=script, text=True, check=True, timeout=60)
    assert (tmp_path / ".ssh" / "authorized_keys").read_text() == f"{own}\n"


def test_shellcheck_finds_nothing() -> None:
    assert SCRIPTS
    programs = [ROOT / "wireguard/container-configs/files/wg-peer"]
    checked = subprocess.run(
        [SHELLCHECK, "--shell=bash", *SCRIPTS, *programs], capture_output=True, text=True, check=False
    )
    assert checked.stdout + checked.stderr == ""


def test_no_script_is_changed_by_a_checkout() -> None:
    assert not [script for script in SCRIPTS if b"\r" in script.read_bytes()]
