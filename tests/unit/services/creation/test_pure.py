"""The parts of a run that touch nothing: lines, offsets, checkpoints, causes, what is to be installed, what was found."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import Creation, EventType, FilePolicy, PackageManager, Phase
from lxc_dashboard.errors import CommandFailedError, PhaseFailedError, PreflightError, TaskFailedError
from lxc_dashboard.guest.steps import Outcome, StepEnd
from lxc_dashboard.proxmox.schemas import Interface
from lxc_dashboard.services.creation import asking, discovery, ending, fields, identity, notes, passwords, rights
from lxc_dashboard.services.creation.checkpoint import Checkpoint
from lxc_dashboard.services.creation.events import ProgressEvent, decode, encode
from lxc_dashboard.services.creation.explain import explain, likely_cause
from lxc_dashboard.services.creation.findings import Finding, FindingSeverity
from lxc_dashboard.services.creation.guest_steps import LINE_LIMIT_BYTES, LineReader, fit_name
from lxc_dashboard.services.creation.packages import batches
from lxc_dashboard.services.creation.phases.deploy import unwritable
from lxc_dashboard.services.creation.phases.start import global_addresses
from lxc_dashboard.services.creation.phases.sync import chosen_scripts
from lxc_dashboard.services.creation.preflight.inside import os_family
from lxc_dashboard.services.creation.service import from_failed_step
from lxc_dashboard.services.creation.spec import ContainerSpec, ExtraPackage, PackageRef
from lxc_dashboard.services.monitor import marks
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)

SPEC = ContainerSpec("pve1", "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "web", "local-lvm")


@given(st.binary(max_size=400), st.lists(st.integers(1, 40), max_size=30))
def test_lines_and_offset_fit_however_output_is_cut(output: bytes, cuts: list[int]) -> None:
    reader, at, lines = LineReader(0), 0, []
    for cut in [*cuts, len(output)]:
        lines += reader.feed(output[at : at + cut])
        assert output[: reader.offset].count(b"\n") == len(lines)
        at += cut
    lines += reader.close()
    pieces = output.split(b"\n")
    pieces = pieces if pieces[-1] else pieces[:-1]
    assert lines == [piece.removesuffix(b"\r").decode("utf-8", "replace") for piece in pieces]
    assert reader.offset == len(output)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_reader_that_dies_anywhere_loses_and_doubles_nothing(output: bytes, death: int) -> None:
    first = LineReader(0)
    lines = first.feed(output[:death])
    second = LineReader(first.offset)
    lines += second.feed(output[first.offset :])
    lines += second.close()
    whole = LineReader(0)
    assert lines == whole.feed(output) + whole.close()


def test_a_line_without_end_is_cut_between_characters() -> None:
    reader = LineReader(0)
    text = "ü" * LINE_LIMIT_BYTES
    lines = reader.feed(b"x" + text.encode()) + reader.close()
    assert "".join(lines) == f"x{text}"
    assert reader.offset == 1 + 2 * LINE_LIMIT_BYTES


@given(st.text())
def test_any_name_becomes_one_that_a_guest_can_bear(text: str) -> None:
    name = fit_name(text)
    assert name[0].isascii()
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")


def event(seq: int, *lines: str) -> ProgressEvent:
    return ProgressEvent(
        seq, EventType.LOG, Phase.SYNCING, 70, "\n".join(lines), datetime.now(UTC), lines=len(lines), script="a.sh"
    )


def test_an_event_survives_the_stream() -> None:
    first = event(7, "a", "ü")
    assert decode(encode(first)) == first


def test_the_rest_of_a_chunk_follows_a_number_in_it() -> None:
    chunk = event(10, "a", "b", "", "d")
    assert chunk.last == 13
    assert chunk.after(9) == chunk
    rest = chunk.after(11)
    assert rest
    assert (rest.seq, rest.lines, rest.message) == (12, 2, "\nd")
    assert chunk.after(13) is None


def test_a_checkpoint_survives_the_database_and_is_a_copy() -> None:
    checkpoint = Checkpoint(done=["a"], upid={"b": "UPID"}, offset={"c": 7}, facts={"held": ["x"]})
    values = checkpoint.to_json()
    checkpoint.facts["held"].append("y")
    assert values["facts"] == {"held": ["x"]}
    assert Checkpoint.from_json(values | {"later": 1}).to_json() == values


def test_a_step_that_is_run_again_has_another_name_and_starts_from_nothing() -> None:
    checkpoint = Checkpoint(done=["s"], upid={"s": "U"}, intent={"s": []}, offset={"s": 9}, lines={"s": 3}, active="s")
    checkpoint.told = ["s", "s:warnings", "st"]
    assert checkpoint.run_of("s") == "s"
    checkpoint.again("s")
    assert checkpoint.run_of("s") == "s.2"
    assert not checkpoint.is_done("s")
    assert not checkpoint.upid | checkpoint.intent | checkpoint.offset | checkpoint.lines
    assert checkpoint.told == ["st"]
    assert not checkpoint.active


def test_a_retry_begins_at_the_failed_step() -> None:
    done = ["create.check", "create.container", "phase.creating", "start.container", "start.init", "phase.starting"]
    done += ["deploy.prepare", "deploy.file.x", "script.001.a.sh"]
    checkpoint = from_failed_step(Checkpoint(done=done, failed="script.002.b.sh", active="script.002.b.sh"))
    assert checkpoint.done == ["create.check", "create.container", "deploy.file.x", "script.001.a.sh"]
    assert checkpoint.run_of("script.002.b.sh") == "script.002.b.sh.2"
    assert checkpoint.run_of("script.001.a.sh") == "script.001.a.sh"


def test_a_step_that_was_only_cut_off_is_adopted_by_a_retry() -> None:
    cut_off = Checkpoint(
        done=["create.check", "create.container"], active="script.001.a.sh", offset={"script.001.a.sh": 7}
    )
    checkpoint = from_failed_step(cut_off)
    assert checkpoint.run_of("script.001.a.sh") == "script.001.a.sh"
    assert checkpoint.offset == {"script.001.a.sh": 7}


def test_a_retry_of_the_create_looks_at_everything_again() -> None:
    checkpoint = from_failed_step(
        Checkpoint(
            done=["create.check"],
            failed="create.container",
            intent={"create.container": ["U1"]},
            upid={"create.container": "U2"},
        )
    )
    assert checkpoint.done == []
    assert "create.container" not in checkpoint.intent


def ended(outcome: Outcome = Outcome.EXIT, status: int = 1) -> StepEnd:
    return StepEnd(outcome, status, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("E: Unable to locate package nginxx", "does not exist for this OS: nginxx"),
        ("Temporary failure resolving 'mirror.example.org'", "names cannot be resolved"),
        ("curl: (6) Could not resolve host: example.org", "names cannot be resolved"),
        ("cp: error writing 'x': No space left on device", "disk of the container is full"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "another package manager"),
        ("/root/x.sh: line 3: frobnicate: command not found", "a command is missing in the guest: frobnicate"),
        ("sh: 2: frobnicate: not found", "a command is missing in the guest: frobnicate"),
        ("connect: Network is unreachable", "a server cannot be reached"),
        ("mount: permission denied", "does not permit"),
        ("touch: cannot touch '/etc/x': Read-only file system", "file system of the container is read-only"),
        ("Failed to connect to system scope bus via local transport: Host is down", "systemd does not run"),
        ("Failed to connect to bus: No such file or directory", "systemd does not run"),
        ("curl: (7) Failed to connect to example.org port 80", "a server cannot be reached"),
        ("bash: line 1: log_info: command not found", "a program that the script started knows no helper log_info"),
        ("This script asks for zsh, which this guest does not have: add it", "a command is missing in the guest: zsh"),
    ],
)
def test_the_last_lines_tell_the_cause(line: str, message: str) -> None:
    cause = explain("20-x.sh", ended(), ["Reading package lists", line, "exiting"])
    assert message in cause.message
    assert cause.message.startswith("20-x.sh ended with status 1")
    assert cause.remedy


def test_what_nobody_knows_is_not_guessed() -> None:
    assert likely_cause(["hello", ""]) is None
    assert explain("x", ended(status=5), []).message == "x ended with status 5"
    assert "memory" in explain("x", ended(status=137), []).message
    for outcome in (Outcome.TIMEOUT, Outcome.LOST, Outcome.CANCELLED):
        assert explain("x", ended(outcome), ["No space left on device"]).message.startswith("x ")


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.RESTARTED])
def test_a_guest_that_went_under_a_step_is_named_with_it(outcome: Outcome) -> None:
    cause = explain("20-x.sh", ended(outcome), ["No space left on device"], guest="CT 101")
    assert cause.message.startswith(f"CT 101 was {outcome} while 20-x.sh ran: a script ")
    assert "retry" in cause.remedy


def test_what_a_guest_says_of_a_file_is_cut_and_cleaned() -> None:
    entry = FileEntry("app.conf", "/etc/app", FilePolicy.REPLACE, b"")
    said = "\x1b[31mmv: cannot move\x07\n\n" + "y" * 5000 + "\nmore\n" * 50
    error = unwritable(Phase.DEPLOYING, entry, CommandFailedError("Writing", 1, said))
    assert error.user_message.startswith(
        "app.conf cannot be written to /etc/app/app.conf in the guest: mv: cannot move; yyy"
    )
    assert len(error.user_message) < 400
    assert "status 7" in unwritable(Phase.DEPLOYING, entry, CommandFailedError("Writing", 7, "")).user_message


CONTENT = TemplateContent(
    name="t",
    config=TemplateConfig(app="t"),
    scripts=tuple(
        Script(name, "true", at, enabled=name != "30-c.sh") for at, name in enumerate(["10-a.sh", "20-b.sh", "30-c.sh"])
    ),
    buckets=(
        Bucket("base", PackageManager.APT, (PackageEntry("curl"), PackageEntry("nginx=1.2*"))),
        Bucket("more", PackageManager.APT, (PackageEntry("curl"), PackageEntry("it's; $(x)"))),
        Bucket("js", PackageManager.NPM, (PackageEntry("pm2@5"),)),
        Bucket("own", PackageManager.CUSTOM, (PackageEntry("tool", "test -x /t", "echo 'in'", 60),)),
    ),
)


def test_packages_are_batched_by_manager_each_once_and_custom_ones_alone() -> None:
    found = batches(SPEC, CONTENT)
    assert [(batch.key, batch.count, batch.timeout_s) for batch in found] == [
        ("packages.apt", 3, 3600), ("packages.npm", 1, 3600), ("packages.custom.001", 1, 60),
    ]  # fmt: skip
    assert b"set -- curl 'nginx=1.2*' 'it'\"'\"'s; $(x)'\n" in found[0].script


def test_the_users_choice_of_packages_counts() -> None:
    spec = replace(
        SPEC,
        packages_off=(PackageRef("js", PackageManager.NPM, "pm2@5"), PackageRef("base", PackageManager.APT, "curl")),
        packages_extra=(ExtraPackage(PackageManager.PIP, "httpx"), ExtraPackage(PackageManager.APT, "htop")),
    )
    found = batches(spec, CONTENT)
    assert [batch.key for batch in found] == ["packages.apt", "packages.pip", "packages.custom.001"]
    assert found[0].count == 4  # curl stands in the other bucket, too
    assert [batch.key for batch in batches(spec, None)] == ["packages.apt", "packages.pip"]


def test_scripts_run_as_chosen_or_as_the_template_has_them() -> None:
    assert [script.name for script in chosen_scripts(SPEC, CONTENT)] == ["10-a.sh", "20-b.sh"]
    spec = replace(SPEC, scripts=("30-c.sh", "10-a.sh"))
    assert [script.name for script in chosen_scripts(spec, CONTENT)] == ["30-c.sh", "10-a.sh"]
    assert chosen_scripts(SPEC, None) == ()
    with pytest.raises(PhaseFailedError, match="no script x"):
        chosen_scripts(replace(SPEC, scripts=("x",)), CONTENT)


TCP = """== tcp
  sl  local_address rem_address   st tx_queue
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000
   1: 00000000:0050 00000000:0000 0A 00000000:00000000
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000
   3: 0A00630A:0016 0A006301:C001 01 00000000:00000000
   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A
== ss
LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=812,fd=6),("nginx",pid=811,fd=6))
LISTEN 0 244 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=700,fd=6))
== units
nginx.service loaded active running A high performance web server
systemd-journald.service loaded active running Journal Service
cron.service loaded active running Regular background program processing daemon
"""


def test_ports_and_units_are_told_from_what_the_kernel_and_systemd_say() -> None:
    found = discovery.parse(TCP)
    ports = {
        each["port"]: (each["address"], each["process"], each["public"]) for each in found if each["kind"] == "port"
    }
    assert ports == {
        80: ("0.0.0.0", "nginx", True),  # noqa: S104 - what was bound, not what we bind
        443: ("::", "", True),
        631: ("::1", "", False),
        5432: ("127.0.0.1", "postgres", False),
    }
    assert [each["name"] for each in found if each["kind"] == "unit"] == ["nginx.service", "cron.service"]
    assert discovery.parse("") == []


def test_credentials_are_read_by_service_and_key() -> None:
    text = "== db\nuser=app\npassword=a=b c\n== empty\n== web\ntoken=x\n"
    assert discovery.parse_credentials(text) == {"db": {"user": "app", "password": "a=b c"}, "web": {"token": "x"}}


@given(st.text(max_size=300), st.text(alphabet="0123456789ABCDEFabcdef:. x", max_size=120))
def test_whatever_a_guest_says_of_its_services_is_read_or_left_out(text: str, socket: str) -> None:
    hostile = f"== tcp\n 0: {socket} 0:0 0A\n{text}\n== ss\n{text}\n== units\n{text}.service a b c {text}"
    for found in discovery.parse(hostile):
        assert "\0" not in str(found.values())
        assert 0 <= found.get("port", 0) <= 65535
    for service, values in discovery.parse_credentials(f"== {text}\n{text}={socket}\n{socket}").items():
        assert service.isprintable()
        assert all(key.isprintable() and "\0" not in value for key, value in values.items())


def test_a_guest_cannot_fill_what_is_kept_of_it() -> None:
    tcp = "\n".join(f" 0: 00000000:{port:04X} 0:0 0A" for port in range(1, 5000))
    units = "\n".join(f"u{number}.service loaded active running {'x' * 900}" for number in range(5000))
    found = discovery.parse(f"== tcp\n{tcp}\n== units\n{units}")
    assert len(found) == discovery.MAX_PORTS + discovery.MAX_UNITS
    assert max(len(each.get("description", "")) for each in found) == discovery.NAME_CHARS
    text = "".join(f"== s{number}\nKEY={'x' * 9000}\n" for number in range(500))
    kept = discovery.parse_credentials(text)
    assert len(kept) == discovery.MAX_CREDENTIALS
    assert len(kept["s0"]["KEY"]) == discovery.VALUE_CHARS
    assert not discovery.parse_credentials("== ../x\na=b\n== \x1b[31m\na=b\n== ok\n1a=b\n")


def test_notes_tell_whose_container_it_is() -> None:
    mine, other = uuid4(), uuid4()
    making = notes.while_creating("My notes", mine)
    assert notes.is_of(making, mine)
    assert not notes.is_of(making, other)
    assert marks.without_lines(making) == "My notes"
    ready = notes.when_ready(
        "My notes", mine, built_from="web r3", userid="root@pam", at=datetime(2026, 11, 24, 9, 5, tzinfo=UTC)
    )
    assert notes.is_of(ready, mine)
    assert marks.without_lines(ready) == (
        "My notes\n\n---\n\nBuilt by LXC Dashboard from **web r3**, 2026-11-24 09:05 UTC, by root@pam"
    )
    assert notes.when_ready(ready, mine, built_from="web r4", userid="b@pam", at=datetime.now(UTC)) == ready
    assert marks.without_lines(
        notes.when_ready("", mine, built_from="", userid="a@pve", at=datetime.now(UTC))
    ).startswith("Created")


def test_the_longest_notes_fit_with_ours_behind_them_into_what_pve_takes() -> None:
    made = uuid4()
    ready = notes.when_ready(
        notes.while_creating("x" * fields.DESCRIPTION_MAX_CHARS, made),
        made,
        built_from=f"{'n' * 63} r{10**9}",
        userid="u" * 64,
        at=datetime.now(UTC),
    )
    assert notes.is_of(ready, made)
    assert len(ready) <= 8192


def test_a_tickets_age_is_read_from_itself() -> None:
    present = 1_800_000_000.0
    assert identity.issued_at(f"PVE:root@pam:{int(present) - 600:08X}::c2ln", present=present) == present - 600
    assert identity.issued_at(f"PVE:a:b@pam:{int(present) + 99:08X}::c2ln", present=present) == present
    for unclear in ("", "PVE:root@pam:zz::x", f"PVE:root@pam:{int(present) - 99_999:08X}::c2ln"):
        assert identity.issued_at(unclear, present=present) == present - 3600
    assert abs(identity.issued_at("") - (time.time() - 3600)) < 60


def test_a_run_without_a_ticket_or_past_12_h_needs_a_sign_in() -> None:
    creation = Creation(endpoint_id=uuid4(), container_id=uuid4(), userid="root@pam", ticket_enc="x")
    assert not identity.has_ended(creation)
    creation.signed_in_at = datetime(2020, 1, 1, tzinfo=UTC)
    assert identity.has_ended(creation)


def test_addresses_that_others_can_reach_ipv4_first() -> None:
    found = [
        Interface("lo", inet="127.0.0.1/8"),
        Interface("eth0", inet="10.0.0.5/24", inet6="fe80::1/64"),
        Interface("eth1", inet6="fd00::5/64", inet="169.254.0.9/16"),
    ]
    assert global_addresses(found) == ["10.0.0.5", "fd00::5"]
    assert global_addresses([]) == []
    bridge = Interface("docker0", inet="172.17.0.1/16")
    assert global_addresses([bridge, *found]) == ["10.0.0.5", "172.17.0.1", "fd00::5"]


def test_a_guest_tells_its_interfaces_itself() -> None:
    said = """1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0@if7    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0
2: eth0@if7    inet6 fe80::1/64 scope link
"""
    told = asking.told_by_guest(said)
    assert [interface.name for interface in told] == ["lo", "eth0"]
    assert global_addresses(told) == ["10.0.0.5"]
    assert asking.told_by_guest("ip: not found\n") == []


def needs(**changes: object) -> set[tuple[str, str]]:
    spec = replace(SPEC, **changes)  # type: ignore[arg-type]  # a test names what it changes
    return {(need.privilege, need.paths[0]) for need in rights.needed(spec, 101)}


def test_each_wish_needs_its_own_rights() -> None:
    plain = needs()
    assert {("VM.Allocate", "/vms/101"), ("Datastore.AllocateSpace", "/storage/local-lvm")} <= plain
    assert ("SDN.Use", "/sdn/zones/localnetwork/vmbr0") in plain
    assert ("VM.Console", "/vms/101") in needs(revision_id=uuid4()) - plain
    assert ("Sys.Modify", "/") in needs(unprivileged=False) - plain
    [tagged] = [need for need in rights.needed(replace(SPEC, vlan=30), 101) if need.privilege == "SDN.Use"]
    assert tagged.paths == ("/sdn/zones/localnetwork/vmbr0/30",)
    assert ("Datastore.AllocateTemplate", "/storage/local") in needs(ostemplate_download="x") - plain
    far = {("Datastore.AllocateSpace", "/storage/iso"), ("Datastore.AllocateTemplate", "/storage/iso")}
    assert far <= needs(ostemplate="iso:vztmpl/x.tar.zst", ostemplate_download="x.tar.zst") - plain
    assert ("Sys.Modify", "/") in {
        (need.privilege, need.paths[0]) for need in rights.needed(SPEC, 101, guarded_tags=("prod",))
    }
    pooled = next(need for need in rights.needed(replace(SPEC, pool="lab"), 101) if need.privilege == "VM.Allocate")
    assert pooled.paths == ("/vms/101", "/pool/lab")


def test_the_os_is_read_from_the_templates_name() -> None:
    assert os_family("local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst") == "debian"
    assert os_family("x:vztmpl/alpine-3.22-default_20250617_amd64.tar.xz") == "alpine"


def test_made_passwords_are_long_and_differ() -> None:
    made = {passwords.generate() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {24}


def test_errors_are_told_without_what_only_the_log_may_know() -> None:
    told = ending.describe(RuntimeError("secret path /x"), Phase.SYNCING, "script.001.a.sh")
    assert "secret" not in str(told)
    failure = PhaseFailedError("syncing", "It failed", step="a.sh", remedy="Mend it")
    assert ending.describe(failure, Phase.SYNCING, "key") == {
        "message": "It failed", "remedy": "Mend it", "phase": "syncing", "step": "a.sh", "tail": [],
    }  # fmt: skip
    finding = Finding(FindingSeverity.ERROR, "vmid", "101 is taken", "Choose another one")
    assert (
        ending.describe(PreflightError([finding]), Phase.CREATING, "x")["message"] == "101 is taken. Choose another one"
    )
    assert ending.describe(TaskFailedError("U", "broke", ["a", "b"]), Phase.CREATING, "x")["tail"] == ["a", "b"]
