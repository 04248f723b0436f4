"""Unusual and hostile templates from each source: a folder, a zip, a tar.gz.

Each gives the right value or a clear error, the same from all three, and none of it is ever executed.
"""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.services.templates.format.checks import checked
from lxc_dashboard.services.templates.model import Refusal, TemplateConfig, TemplateContent
from lxc_dashboard.services.templates.sources import archive
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree

Files = Mapping[str, str | bytes]
Outcome = tuple[tuple[TemplateContent, ...], tuple[Refusal, ...]]

CONF = "TEMPLATE_OS=debian\n"
CONFIGS = "web/container-configs"
BASE: Files = {"web/template.conf": CONF, f"{CONFIGS}/scripts/1.sh": "true\n"}
TEN_MB = 10 << 20


def encoded(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def zipped(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, encoded(content))
    return out.getvalue()


def tarred(files: Files) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as written:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(encoded(content))
            written.addfile(info, io.BytesIO(encoded(content)))
    return out.getvalue()


def through_every_door(files: Files, write_tree: WriteTree) -> list[Outcome]:
    """The outcome at each source, without the modes of scripts and files."""
    folder = discover(write_tree(files))
    results = [archive.read(zipped(files)), archive.read(tarred(files))]
    return [(folder.found, folder.refused), *((result.found, result.refused) for result in results)]


def alike(outcomes: list[Outcome]) -> Outcome:
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
    return outcomes[0]


def configured(write_tree: WriteTree, conf: str | bytes) -> TemplateConfig:
    found, refused = alike(through_every_door({**BASE, "web/template.conf": conf}, write_tree))
    assert refused == ()
    return found[0].config


def refused(write_tree: WriteTree, changes: Files) -> Refusal:
    found, refusals = alike(through_every_door({**BASE, **changes}, write_tree))
    assert found == ()
    assert len(refusals) == 1
    assert refusals[0].name == "web"
    return refusals[0]


# The right value


@pytest.mark.parametrize(
    ("conf", "values"),
    [
        ('TEMPLATE_APP="it\'s"', {"app": "it's"}),
        ("TEMPLATE_APP='say \"hi\"'", {"app": 'say "hi"'}),
        ('TEMPLATE_APP="say \\"hi\\"" # "quoted" \'comment', {"app": 'say "hi"'}),
        ("TEMPLATE_APP='a # b' # c", {"app": "a # b"}),
        ('TEMPLATE_APP="a # b"#c', {"app": "a # b#c"}),
        ("TEMPLATE_APP=a#b #c", {"app": "a#b"}),
        ("TEMPLATE_APP='$(touch proof)'", {"app": "$(touch proof)"}),
        ('TEMPLATE_APP="\\$(touch proof) \\`id\\`"', {"app": "$(touch proof) `id`"}),
        ('TEMPLATE_APP="${A:-${B:-${C:-"deep"}}}"', {"app": "deep"}),
        ("TEMPLATE_APP=${A:-'}'}", {"app": "}"}),
        ("TEMPLATE_CPU=4 # 64\nTEMPLATE_UNPRIVILEGED=1 # 0", {"cpu": 4, "unprivileged": True}),
        ('TEMPLATE_UNPRIVILEGED="1"   # set to "0" for a privileged container', {"unprivileged": True}),
        ("\ufeffTEMPLATE_CPU=4\r\nTEMPLATE_APP='x'\r\n", {"cpu": 4, "app": "x"}),
        ("TEMPLATE_CPU=4\r\nTEMPLATE_DESCRIPTION='one\r\ntwo'\r\n", {"cpu": 4, "description": "one\ntwo"}),
        ("TEMPLATE_APP=Größe\\ 日本", {"app": "Größe 日本"}),
        ("TEMPLATE_CPU=${TEMPLATE_CPU:-${TEMPLATE_CPU:-4}}", {"cpu": 4}),
        ("A=${B:-$A}\nB=${A:-$B}\nTEMPLATE_APP=${A:-${B:-x}}", {"app": "x"}),
        ("TEMPLATE_CPU=4" + "\n" * 1000 + "# " + "x" * 100_000, {"cpu": 4}),
    ],
)
def test_the_right_value_comes_through_every_door(write_tree: WriteTree, conf: str, values: dict[str, object]) -> None:
    config = configured(write_tree, conf)
    assert {name: getattr(config, name) for name in values} == values


def test_binary_files_survive_every_door(write_tree: WriteTree) -> None:
    content = bytes(range(256)) * 64
    files = {**BASE, f"{CONFIGS}/files/blob": content, f"{CONFIGS}/files/blob.path": "\ufeff/opt/x/\r\n"}
    found, _ = alike(through_every_door(files, write_tree))
    (file,) = found[0].files
    assert (file.content, file.target, file.policy) == (content, "/opt/x/blob", FilePolicy.DEFAULT)


def test_scripts_of_another_system_are_stored_as_bash_can_run_them(write_tree: WriteTree) -> None:
    files = {**BASE, f"{CONFIGS}/scripts/1.sh": "\ufeff#!/bin/bash\r\necho 'é'\r\n"}
    found, _ = alike(through_every_door(files, write_tree))
    assert found[0].scripts[0].content == "#!/bin/bash\necho 'é'\n"
    assert "CRLF" in in_words_of(found[0].warnings[0].message)


# A clear error


@pytest.mark.parametrize(
    ("conf", "line", "why"),
    [
        ("TEMPLATE_CPU=1\nTEMPLATE_APP=$(touch proof)", 2, "computed by bash"),
        ('\nTEMPLATE_APP="`touch proof`"', 2, "computed by bash"),
        ("\n\nTEMPLATE_APP=${A:-$(touch proof)}", 3, "computed by bash"),
        ("TEMPLATE_APP=x; touch proof", 1, "touch is a command"),
        ("TEMPLATE_APP=x touch proof", 1, "touch is a command"),
        ("TEMPLATE_APP=x\ntouch proof # TEMPLATE_CPU=1", 2, "touch is a command"),
        ("TEMPLATE_APP=x && touch proof", 1, "command"),
        ('TEMPLATE_APP="a"# b', 1, "b is a command"),
        ("source ./other.conf", 1, "source is a command"),
        ("eval TEMPLATE_APP=x", 1, "eval is a command"),
        ("TEMPLATE_APP='x", 1, "never closed"),
        ("TEMPLATE_CPU=1\nTEMPLATE_APP=\"x # '\nTEMPLATE_OS=debian", 2, "never closed"),
        ("TEMPLATE_APP=${A:-${B", 1, "computed"),
        ("TEMPLATE_APP=" + "${A:-" * 100 + "}" * 100, 1, "inside one another"),
        ("A=" + "x" * 100 + "\n" + "A=$A$A\n" * 60, 15, "become too long"),
        ("TEMPLATE_UNPRIVILEGED=0#1", 1, "must be 0 or 1"),
        ("TEMPLATE_CPU=1\nTEMPLATE_APP=caf\xe9".encode("latin-1"), 2, "is not UTF-8 text"),
        ("TEMPLATE_CPU=1\n".encode("utf-16"), 1, "NUL byte"),
        (b"TEMPLATE_CPU=1\n\x00", 2, "NUL byte"),
        (b"\x7fELF\x02\x01\x01", 1, "control character"),
        ("TEMPLATE_CPU=1\rTEMPLATE_CPU=2\r", 1, "control character"),
        ("#" * TEN_MB, 0, "larger than the 262,144 bytes"),
        ("TEMPLATE_APP=" + "x" * 300, 1, "at most 100 characters"),
        ("TEMPLATE_CONFIG_PATH=../../etc", 1, "below the root"),
        ("TEMPLATE_CONFIG_PATH=/etc", 1, "below the root"),
    ],
)
def test_a_conf_that_cannot_be_read_is_a_clear_error_at_every_door(
    write_tree: WriteTree, conf: str | bytes, line: int, why: str
) -> None:
    refusal = refused(write_tree, {"web/template.conf": conf})
    assert (refusal.file, refusal.line) == ("web/template.conf", line)
    assert why in in_words_of(refusal.why)


@pytest.mark.parametrize(
    ("path", "content", "line", "why"),
    [
        ("scripts/1.sh", b"true\n\xff\xfe\n", 2, "is not UTF-8 text"),
        ("scripts/1.sh", "true\n".encode("utf-16"), 1, "NUL byte"),
        ("scripts/1.sh", b"#" * TEN_MB, 0, "is larger than the 1,048,576 bytes"),
        ("scripts/1.sh", "# timeout: $(touch proof)\n", None, ""),
        ("packages/base.apt", "nginx\n$(touch proof)\n", 2, "more than one word"),
        ("packages/base.apt", "nginx\n-o=Dpkg::Pre-Invoke::=id\n", 2, "is an option"),
        ("packages/base.apt", b"nginx\nx\xff\n", 2, "is not UTF-8 text"),
        ("packages/base.apt", b"x\n" * (TEN_MB // 2), 0, "is larger than the 262,144 bytes"),
        ("packages/own.custom", "a|b\n", 1, "name|check|install"),
        ("packages/own.custom", "tool|touch proof|touch proof\n", None, ""),
        ("files/x.path", "/etc\n", 0, "that does not exist"),
        ("files/x", "no sidecar", 0, "has no x.path"),
    ],
)
def test_a_part_that_cannot_be_read_is_a_clear_error_at_every_door(
    write_tree: WriteTree, path: str, content: str | bytes, line: int | None, why: str
) -> None:
    changes = {f"{CONFIGS}/{path}": content}
    if line is None:
        assert alike(through_every_door({**BASE, **changes}, write_tree))[1] == ()
        return
    refusal = refused(write_tree, changes)
    assert (refusal.file, refusal.line) == (f"{CONFIGS}/{path}", line)
    assert why in in_words_of(refusal.why)


@pytest.mark.parametrize(
    "target", ["../../etc", "etc", "/etc/../root", "$(touch proof)", "$HOME", "/a\n/b", "", "\0", "/" + "x" * 2000]
)
def test_a_target_that_is_no_plain_directory_is_a_clear_error_at_every_door(write_tree: WriteTree, target: str) -> None:
    refusal = refused(write_tree, {f"{CONFIGS}/files/x": "x", f"{CONFIGS}/files/x.path": target})
    assert refusal.file == f"{CONFIGS}/files/x.path"


def test_one_nasty_template_hides_no_other(write_tree: WriteTree) -> None:
    files = {**BASE, "bad/template.conf": "$(touch proof)\n", "worse/template.conf": b"\x00" * 1000}
    found, refusals = alike(through_every_door(files, write_tree))
    assert [content.name for content in found] == ["web"]
    assert [refusal.name for refusal in refusals] == ["bad", "worse"]


# Never execution


async def test_nothing_is_run_by_reading_or_by_checking(write_tree: WriteTree, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    touch = f"touch {proof}"
    files = {
        "web/template.conf": f"TEMPLATE_APP='$({touch})'\nTEMPLATE_DESCRIPTION='`{touch}`'\n",
        f"{CONFIGS}/scripts/1.sh": f"#!/bin/bash\n# $({touch})\n{touch}\n. <({touch})\nsource {proof}.sh\n",
        f"{CONFIGS}/packages/own.custom": f"tool|{touch}|{touch}\n",
        f"{CONFIGS}/files/.shellcheckrc": f"external-sources=true\nsource-path={tmp_path}\n",
        f"{CONFIGS}/files/.shellcheckrc.path": "/etc",
    }
    for found, refusals in through_every_door(files, write_tree):
        assert refusals == ()
        assert await checked(await checked(found[0])) == await checked(found[0])
    assert not proof.exists()


# Never a crash


@given(
    path=st.sampled_from(
        ["../template.conf", "scripts/1.sh", "packages/a.apt", "packages/b.custom", "files/x.path", "files/x.policy"]
    ),
    content=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from("A=x${}:-\"'\\`()#|;\n\r\t \ufeff\x00/~.é"), max_size=80),
        st.builds(
            lambda text, at: (text[:at] + "\udcff" + text[at:]).encode("utf-8", "surrogateescape"),
            st.text(st.characters(codec="ascii"), max_size=20),
            st.integers(0, 20),
        ),
    ),
)
def test_whatever_stands_in_a_part_the_doors_agree(
    tmp_path_factory: pytest.TempPathFactory, path: str, content: str | bytes
) -> None:
    files = {**BASE, f"{CONFIGS}/files/x": "x", f"{CONFIGS}/files/x.path": "/etc"}
    files[os.path.normpath(f"{CONFIGS}/{path}")] = content
    root = tmp_path_factory.mktemp("root")
    for name, data in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(data))
    folder = discover(root)
    begun = time.process_time()
    for packed in (zipped(files), tarred(files)):
        result = archive.read(packed)
        assert (result.found, result.refused) == (folder.found, folder.refused)
    assert time.process_time() - begun < 5
    for content_found in folder.found:
        assert dataclasses.replace(content_found, name="again").checksum() == content_found.checksum()
