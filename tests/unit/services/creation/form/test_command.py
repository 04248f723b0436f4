"""The shown commands send PVE the dashboard's parameters. Bash runs them with stand-ins for the programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lxc_dashboard.services.creation.form import command
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import (
    ContainerSpec,
    IpMode,
    IpSettings,
    Mount,
    PasswordMode,
)
from lxc_dashboard.state.creation.summary import bash_text

VMID = 105
AT = "https://pve1.example:8006"
PASSWORD = 'it\'s $HOME & "more"'
NAMES = ("pct", "pveam", "pvesh", "curl")
# Appends its name and arguments to a file, with the content of files given as arguments. Prints a vmid when asked.
STAND_IN = """#!{python} -IS
import json, os, sys
read = [open(a, encoding="utf-8").read() if a.startswith("/dev/fd/") else a for a in sys.argv[1:]]
with open(os.environ["TOLD"], "a", encoding="utf-8") as told:
    told.write(json.dumps([os.path.basename(sys.argv[0]), *read]) + "\\n")
if sys.argv[-1].endswith("/cluster/nextid"):
    print('{{"data": "105"}}' if sys.argv[0].endswith("curl") else "105")
"""
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40)
WORDS = st.text("abcxyz019-_'\"$`\\ !*;&|<>()#~%", min_size=1, max_size=12)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    for name in NAMES:
        program = folder / name
        program.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
        program.chmod(0o755)
    return folder


def api_call(made: ContainerSpec, vmid: int, *, at: str) -> str:
    return bash_text(command.api_call(made, vmid, at=at))


def api_calls(made: Sequence[ContainerSpec], *, at: str) -> str:
    return bash_text(command.api_calls(made, at=at))


def run(node: Path, typed: str) -> list[list[str]]:
    """The commands that bash ran for ``typed``, with their arguments."""
    told = node / "told"
    told.write_text("", encoding="utf-8")
    environ = os.environ | {"PATH": f"{node}:{os.environ['PATH']}", "TOLD": str(told), "LC_ALL": "C.UTF-8"}
    environ |= {"ROOT_PASSWORD": PASSWORD, "PVE_API_TOKEN": "ann@pve!cli=1234"}
    subprocess.run(["bash", "-euc", typed], env=environ, check=True, timeout=60)
    return [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]


def as_pct_got_it(arguments: list[str]) -> dict[str, str]:
    """PVE's parameters, from the arguments of ``pct create``."""
    assert arguments[:2] == ["pct", "create"]
    vmid, ostemplate, *rest = arguments[2:]
    options = {name.removeprefix("--"): value for name, value in zip(rest[::2], rest[1::2], strict=True)}
    if "ssh-public-keys" in options:
        options["ssh-public-keys"] = options["ssh-public-keys"].removesuffix("\n")
    return {"vmid": vmid, "ostemplate": ostemplate, **options}


def as_curl_got_it(arguments: list[str]) -> dict[str, str]:
    """PVE's parameters, from the arguments of ``curl``."""
    at = [n for n, argument in enumerate(arguments) if argument == "--data-urlencode"]
    return dict(arguments[n + 1].split("=", 1) for n in at)


def as_sent(spec: ContainerSpec) -> dict[str, str]:
    values = pve_parameters(spec, VMID, None if spec.password_mode is PasswordMode.NONE else PASSWORD)
    return {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in values.items()}


def spec(**changes: Any) -> ContainerSpec:
    given: dict[str, Any] = {"node": "pve1", "ostemplate": "local:vztmpl/debian-13.tar.zst", "hostname": "web-01"}
    return ContainerSpec(**(given | {"storage": "local-lvm"} | changes))


SPECS = st.builds(
    spec,
    password_mode=st.sampled_from(PasswordMode),
    ssh_keys=st.lists(WORDS.map(lambda comment: f"ssh-ed25519 AAAA {comment}".strip()), max_size=3).map(tuple),
    cores=st.integers(1, 64),
    ipv4=st.sampled_from(
        [IpSettings(IpMode.DHCP), IpSettings(IpMode.NONE), IpSettings(IpMode.STATIC, "10.0.0.5/24", "10.0.0.1")]
    ),
    vlan=st.none() | st.integers(1, 4094),
    unprivileged=st.booleans(),
    nesting=st.booleans(),
    onboot=st.booleans(),
    mounts=st.lists(st.builds(Mount, source=st.just("local-lvm"), path=WORDS, size_gib=st.just(3)), max_size=2).map(
        tuple
    ),
    tags=st.lists(st.sampled_from(["web", "prod"]), max_size=2, unique=True).map(tuple),
    pool=st.sampled_from(["", "dev"]),
    start_order=st.none() | st.integers(0, 9),
    description=TEXTS,
    nameserver=st.sampled_from(["", "10.0.0.1 10.0.0.2"]),
)
SLOW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(made=SPECS)
def test_pct_gets_exactly_what_the_dashboard_would_send(node: Path, made: ContainerSpec) -> None:
    called = run(node, command.pct_create(made, VMID))
    assert as_pct_got_it(called[0]) == as_sent(made)
    later = [["pct", "set", str(VMID), "--tags", ";".join(made.tags)]] if made.pool and made.tags else []
    assert called[1:] == later


@SLOW
@given(made=SPECS)
def test_the_api_gets_exactly_what_the_dashboard_would_send(node: Path, made: ContainerSpec) -> None:
    called = run(node, api_call(made, VMID, at=AT))
    assert as_curl_got_it(called[0]) == as_sent(made)
    assert {f"{AT}/api2/json/nodes/pve1/lxc", "Authorization: PVEAPIToken=ann@pve!cli=1234"} <= set(called[0])
    assert [as_curl_got_it(call) for call in called[1:]] == (
        [{"tags": ";".join(made.tags)}] if made.pool and made.tags else []
    )


def test_an_os_template_that_lacks_is_fetched_first(node: Path) -> None:
    made = spec(ostemplate_download="debian-13.tar.zst")
    assert run(node, command.pct_create(made, VMID))[0] == ["pveam", "download", "local", "debian-13.tar.zst"]
    first, second = run(node, api_call(made, VMID, at=AT))
    assert f"{AT}/api2/json/nodes/pve1/aplinfo" in first
    assert as_curl_got_it(first) == {"storage": "local", "template": "debian-13.tar.zst"}
    assert as_curl_got_it(second) == as_sent(made)


SEVERAL = st.lists(SPECS, min_size=2, max_size=3)


@SLOW
@given(made=SEVERAL)
def test_pct_gets_each_of_several_with_the_vmid_that_is_free_then(node: Path, made: list[ContainerSpec]) -> None:
    called = run(node, command.pct_create_all(made))
    assert [call[1:] for call in called if call[0] == "pvesh"] == [["get", "/cluster/nextid"]] * len(made)
    assert [as_pct_got_it(call) for call in called if call[:2] == ["pct", "create"]] == [as_sent(one) for one in made]
    later = [["pct", "set", str(VMID), "--tags", ";".join(one.tags)] for one in made if one.pool and one.tags]
    assert [call for call in called if call[:2] == ["pct", "set"]] == later


@SLOW
@given(made=SEVERAL)
def test_the_api_gets_each_of_several_with_the_vmid_that_is_free_then(node: Path, made: list[ContainerSpec]) -> None:
    called = run(node, api_calls(made, at=AT))
    asked = [call for call in called if call[-1] == f"{AT}/api2/json/cluster/nextid"]
    assert len(asked) == len(made)
    assert all("Authorization: PVEAPIToken=ann@pve!cli=1234" in call for call in called)
    assert [as_curl_got_it(call) for call in called if "POST" in call] == [as_sent(one) for one in made]
    later = [call for call in called if "PUT" in call]
    assert all(f"{AT}/api2/json/nodes/pve1/lxc/{VMID}/config" in call for call in later)
    assert len(later) == sum(bool(one.pool and one.tags) for one in made)


def test_an_os_template_is_fetched_once_for_several(node: Path) -> None:
    made = [spec(hostname=name, ostemplate_download="debian-13.tar.zst") for name in ("a", "b")]
    assert [call[0] for call in run(node, command.pct_create_all(made))] == ["pvesh", "pveam", "pct", "pvesh", "pct"]
    fetched = [call for call in run(node, api_calls(made, at=AT)) if f"{AT}/api2/json/nodes/pve1/aplinfo" in call]
    assert len(fetched) == 1


def test_what_no_token_may_have_is_said_where_one_is_used(node: Path) -> None:
    bind = Mount("/tank/a\nb", "/media")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"keyctl": True, "mounts": (bind,)}, "keyctl, folders of the node"),
        ({"unprivileged": False, "nesting": True}, "nesting"),
    ]
    for changes, named in cases:
        made = spec(**changes)
        for lines in (api_call(made, VMID, at=AT), api_calls([made, made], at=AT)):
            assert lines.startswith(
                f"# PVE refuses {named} to every API token, also to those of root@pam.\n# It takes them"
            )
            assert lines.count("# PVE refuses") == 1
            assert next(as_curl_got_it(call) for call in run(node, lines) if "POST" in call) == as_sent(made)
        assert "#" not in command.pct_create(made, VMID)
    assert "#" not in api_call(spec(nesting=True), VMID, at=AT)


def test_a_command_reads_like_one() -> None:
    made = spec(password_mode=PasswordMode.GENERATED, ssh_keys=("ssh-ed25519 AAAA ann",), description="two\nlines")
    assert command.pct_create(made, VMID).splitlines() == [
        "pct create 105 local:vztmpl/debian-13.tar.zst \\",
        "  --hostname web-01 \\",
        "  --cores 1 \\",
        "  --memory 512 \\",
        "  --swap 512 \\",
        "  --rootfs local-lvm:8 \\",
        "  --ssh-public-keys <(printf '%s\\n' 'ssh-ed25519 AAAA ann') \\",
        "  --unprivileged 1 \\",
        "  --onboot 0 \\",
        "  --description 'two",
        "lines' \\",
        '  --password "$ROOT_PASSWORD" \\',
        "  --net0 name=eth0,bridge=vmbr0,ip=dhcp,type=veth",
    ]
