"""A container from each shipped template: created in the wizard, followed to its end, then checked in the guest."""

from __future__ import annotations

import gzip
import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lxc_dashboard import routes, text
from tests.e2e import wizard
from tests.e2e.conftest import NewPage, SignedInAs, keep_picture, reload, until, visit
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack

TEMPLATES = Path(__file__).parents[2] / "templates"
INSTALLED_WITHIN_MS = 420_000
APT_HELPER = "/usr/lib/apt/apt-helper"
PASSWORD = "Kept-nowhere-2718"


@pytest.fixture
def node_side(stack: Stack) -> NodeSide:
    if stack.sandbox["guests"] == "simulated":
        pytest.skip("this machine allows no real guests")
    return NodeSide(stack)


@pytest.fixture
def page(new_page: NewPage, signed_in_as: SignedInAs) -> Page:
    return new_page(storage_state=signed_in_as())


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip the test where the machine's package mirror, which guests also use, does not answer."""
    if not Path(APT_HELPER).exists() or not shutil.which("apt-get"):
        pytest.skip("this machine has no apt, so its guests have none")
    asked = subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True, check=False)
    mirrors = [uri for uri in re.findall(r"^'([^']+)'", asked.stdout, re.MULTILINE) if uri.startswith("http")]
    if not mirrors:
        pytest.skip("this machine's apt has no mirror")
    to = tmp_path_factory.mktemp("mirror") / "InRelease"
    command = [APT_HELPER, "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=0"]
    done = subprocess.run([*command, "download-file", mirrors[0], str(to)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network: {mirrors[0]} does not answer ({done.stderr.strip()[-200:]})")


def files_of(template: str, name: str) -> bytes:
    return (TEMPLATES / template / "container-configs" / "files" / name).read_bytes()


def modes(side: NodeSide, vmid: int, *places: str) -> list[str]:
    """``mode owner:group`` of each place."""
    return side.run(vmid, f"stat -c '%a %U:%G' {' '.join(places)}").splitlines()


def installed(side: NodeSide, vmid: int, packages: Sequence[str]) -> None:
    said = side.run(vmid, f"dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {' '.join(packages)}")
    assert sorted(said.splitlines()) == sorted(f"{name} installed" for name in packages)


def credentials(side: NodeSide, vmid: int, service: str) -> dict[str, str]:
    place = f"/etc/lxc-dashboard/credentials/{service}"
    assert modes(side, vmid, "/etc/lxc-dashboard/credentials", place) == ["700 root:root", "600 root:root"]
    lines = side.run(vmid, f"cat {place}").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_hello_is_really_in_the_guest(page: Page, node_side: NodeSide, stack: Stack) -> None:
    wizard.start(page, "hello")
    wizard.fill(page, hostname="e2e-hello")
    page.locator("#password_mode").select_option("given")
    page.locator("#password").fill(PASSWORD)
    page.get_by_text(text.ADVANCED, exact=True).click()
    wizard.fill(page, tags="example offline mine", description="Written by a test")
    wizard.to_review(page)
    wizard.create(page)
    expect(page.locator(".log-text", has_text="1 of 3")).to_be_visible(timeout=wizard.BUILT_WITHIN_MS)
    vmid = wizard.vmid_when_ready(page, "e2e-hello")
    keep_picture(page, "job-ready")

    [guest] = node_side.guests("e2e-hello")
    assert (guest["vmid"], guest["status"]) == (vmid, "running")
    files_are_placed_by_their_policies(node_side, vmid)
    assert "This guest greets the world." in node_side.run(vmid, "cat /opt/hello/greeting.txt")
    assert node_side.run(vmid, "cat /etc/hostname") == "e2e-hello\n"
    assert credentials(node_side, vmid, "hello") == {"PASSWORD": node_side.run(vmid, "cat /opt/hello/password").strip()}
    assert modes(node_side, vmid, "/opt/hello", "/opt/hello/greeting.txt", "/opt/hello/password") == [
        "755 root:root",
        "644 root:root",
        "600 root:root",
    ]
    hashed = "$h = (split /:/, `grep ^root: /etc/shadow`)[1]; print crypt($ENV{WORD}, $h) eq $h ? 'same' : 'other'"
    assert node_side.run(vmid, f"WORD={PASSWORD} perl -e '{hashed}'") == "same"
    what_pve_knows_of_hello(node_side, guest["node"], vmid)

    visit(page, routes.CONTAINERS)
    page.get_by_label(text.GUEST_WORDS["filter"]).fill("e2e-hello")
    row = page.locator(f'[data-vmid="{vmid}"]')
    for shown in ("e2e-hello", "hello r1", "mine"):
        expect(row).to_contain_text(shown)


def files_are_placed_by_their_policies(side: NodeSide, vmid: int) -> None:
    motd, issue, conf = (files_of("hello", name) for name in ("motd", "issue", "hello.conf"))
    assert side.run(vmid, "cat /etc/motd").encode() == motd
    assert side.run(vmid, "cat /etc/issue").encode() == issue
    assert side.run(vmid, "cat /etc/hello.conf").encode() == conf
    packed = files_of("hello", "greeting.txt.gz")
    there = side.run(vmid, "sha256sum /usr/local/share/greeting.txt.gz").split()[0]
    assert there == hashlib.sha256(packed).hexdigest()
    assert gzip.decompress(packed).decode() in side.run(vmid, "cat /opt/hello/greeting.txt")
    assert side.run(vmid, "cat /opt/hello/banner.txt").encode() == files_of("hello", "banner.txt")
    [backup] = side.run(vmid, "ls /etc/issue.backup-*").split()
    assert side.run(vmid, f"cat {backup}").encode() != issue
    assert side.run(vmid, "ls /etc | grep -c 'motd[.]backup\\|hello[.]conf[.]backup' || true").strip() == "0"
    places = ("/etc/motd", "/etc/issue", "/etc/hello.conf", "/usr/local/share/greeting.txt.gz", "/opt/hello/banner.txt")
    assert set(modes(side, vmid, *places)) == {"644 root:root"}


def what_pve_knows_of_hello(side: NodeSide, node: str, vmid: int) -> None:
    config = side.config(node, vmid)
    assert {name: config[name] for name in ("hostname", "cores", "memory", "swap", "unprivileged", "features")} == {
        "hostname": "e2e-hello",
        "cores": 1,
        "memory": 256,
        "swap": 0,
        "unprivileged": 1,
        "features": "nesting=1",
    }
    assert config["rootfs"].startswith("local-lvm:")
    assert config["rootfs"].endswith("size=2G")
    assert set(config["tags"].split(";")) == {"example", "offline", "mine"}
    assert config["description"].startswith("Written by a test")
    assert "Built by LXC Dashboard from **hello r1**" in config["description"]
    assert "by root@pam" in config["description"]


@pytest.mark.timeout(800)
def test_nginx_web_serves_its_page(page: Page, node_side: NodeSide, mirror: None) -> None:
    wizard.start(page, "nginx-web")
    wizard.fill(page, hostname="e2e-nginx")
    wizard.to_review(page)
    wizard.create(page)
    vmid = wizard.vmid_when_ready(page, "e2e-nginx", INSTALLED_WITHIN_MS)

    installed(node_side, vmid, ["nginx", "curl", "ca-certificates"])
    served = node_side.run(vmid, "curl --silent --show-error --fail --noproxy '*' http://127.0.0.1/")
    assert served.encode() == files_of("nginx-web", "index.html")
    assert node_side.run(vmid, "curl --silent --noproxy '*' http://127.0.0.1/health") == "ok\n"
    assert node_side.run(vmid, "readlink /etc/nginx/sites-enabled/*") == "/etc/nginx/sites-available/site.conf\n"
    places = ("/var/www/site", "/var/www/site/index.html", "/usr/local/share/nginx-site.conf")
    assert modes(node_side, vmid, *places) == ["755 root:root", "644 root:root", "644 root:root"]
    [guest] = node_side.guests("e2e-nginx")
    assert set(node_side.config(guest["node"], vmid)["tags"].split(";")) == {"web", "nginx"}


@pytest.mark.timeout(800)
@pytest.mark.full
def test_python_app_runs_as_its_own_user_and_knows_its_token(page: Page, node_side: NodeSide, mirror: None) -> None:
    wizard.start(page, "python-app")
    wizard.fill(page, hostname="e2e-python")
    wizard.to_review(page)
    wizard.create(page)
    vmid = wizard.vmid_when_ready(page, "e2e-python", INSTALLED_WITHIN_MS)

    installed(node_side, vmid, ["python3", "python3-venv", "python3-pip", "python3-flask", "gunicorn"])
    token = credentials(node_side, vmid, "python-app")["TOKEN"]
    assert private_page(node_side, vmid, token) == "200"
    assert private_page(node_side, vmid, "wrong") == "401"
    user = "app" if has_users(node_side, vmid) else "root"
    assert node_side.run(vmid, "stat -c %U /proc/$(cat /run/python-app.pid)") == f"{user}\n"
    assert node_side.run(vmid, "cat /srv/app.py").encode() == files_of("python-app", "app.py")
    places = ("/srv/app.py", "/etc/default/python-app", "/etc/python-app.env", "/opt/app/venv")
    assert modes(node_side, vmid, *places) == ["644 root:root", "644 root:root", f"640 root:{user}", "755 root:root"]
    assert node_side.run(vmid, "grep -c '^app:.*/nologin$' /etc/passwd") == "1\n"


def has_users(side: NodeSide, vmid: int) -> bool:
    """Whether the guest has more than one uid.

    An ordinary user's sandbox makes guests with one uid, where changing an owner or user succeeds without effect.
    """
    return side.run(vmid, "su -s /bin/sh nobody -c 'id -u'") != "0\n"


def private_page(side: NodeSide, vmid: int, token: str) -> str:
    """Request the page in the guest; return the application's status."""
    lines = (
        "import sys, urllib.error, urllib.request as web",
        "asked = web.Request('http://127.0.0.1:8000/private', headers={'Authorization': 'Bearer ' + sys.argv[1]})",
        "try: print(web.build_opener(web.ProxyHandler({})).open(asked, timeout=10).status)",
        "except urllib.error.HTTPError as refused: print(refused.code)",
    )
    return side.run(vmid, f"python3 -c {shlex.quote(chr(10).join(lines))} {shlex.quote(token)}").strip()


def test_a_container_without_a_template_is_an_empty_one(page: Page, node_side: NodeSide) -> None:
    wizard.start(page, text.NO_TEMPLATE)
    wizard.fill(page, hostname="e2e-empty", cores="2", memory_mib="384")
    wizard.to_review(page)
    wizard.create(page)
    vmid = wizard.vmid_when_ready(page, "e2e-empty")
    [guest] = node_side.guests("e2e-empty")
    config = node_side.config(guest["node"], vmid)
    assert (config["cores"], config["memory"]) == (2, 384)
    assert config["description"].startswith("Created by LXC Dashboard")
    assert node_side.run(vmid, "ls -d /etc/lxc-dashboard/credentials /var/lib/lxc-dashboard 2>/dev/null || true") == ""


def test_a_reload_and_other_viewers_see_the_same_run(
    page: Page, new_page: NewPage, signed_in_as: SignedInAs, node_side: NodeSide
) -> None:
    wizard.start(page, "hello")
    wizard.fill(page, hostname="e2e-seen")
    wizard.to_review(page)
    job = wizard.create(page)
    same_user, auditor = new_page(storage_state=signed_in_as()), new_page(storage_state=signed_in_as("viewer@pve"))
    for viewer in (same_user, auditor):
        visit(viewer, job)
    reload(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("e2e-seen")
    vmid = wizard.vmid_when_ready(page, "e2e-seen")
    assert [wizard.vmid_when_ready(viewer, "e2e-seen") for viewer in (same_user, auditor)] == [vmid, vmid]
    viewers = (page, same_user, auditor)
    until(page, lambda: len({viewer.locator(".steps").inner_text() for viewer in viewers}) == 1, "they see other steps")
    logs = [
        viewer.request.get(job.replace("/jobs/", f"{routes.CREATIONS}/") + "/log.txt") for viewer in (page, auditor)
    ]
    assert "3 of 3" in logs[0].text()
    assert logs[0].text() == logs[1].text()


def test_two_clicks_on_create_make_one_container(page: Page, node_side: NodeSide) -> None:
    wizard.start(page, text.NO_TEMPLATE)
    wizard.fill(page, hostname="e2e-once")
    wizard.to_review(page)
    page.get_by_role("button", name=text.CREATE, exact=True).dblclick(timeout=wizard.CHECKED_WITHIN_MS)
    page.wait_for_url("**/jobs/*", timeout=wizard.CHECKED_WITHIN_MS)
    vmid = wizard.vmid_when_ready(page, "e2e-once")
    assert [guest["vmid"] for guest in node_side.guests("e2e-once")] == [vmid]
    visit(page, routes.JOBS)
    page.get_by_label(text.SEARCH_JOBS).fill("e2e-once")
    expect(page.get_by_role("row", name="e2e-once")).to_have_count(1)
