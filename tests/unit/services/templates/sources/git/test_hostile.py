"""Hostile repositories: no file is written outside, time and memory are bounded, and what was left out is reported."""

from __future__ import annotations

import dataclasses
import os
import stat
import struct
import zlib
from hashlib import sha1
from pathlib import Path

import pytest
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from lxc_dashboard.errors import SourceError
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.git import checkout, reader, reader_process
from lxc_dashboard.services.templates.sources.git.reader_process import GitRequest, Outcome
from lxc_dashboard.services.templates.sources.git.transport import Budget
from lxc_dashboard.text import in_words_of
from tests.git_servers import EXECUTABLE, FILE, FOLDER, LINK, SUBMODULE, WEB, Repository, blob, tree


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "recipes.git")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    into = tmp_path / "into"
    into.mkdir()
    return into


def request(repository: Repository, into: Path) -> GitRequest:
    return GitRequest(f"file://{repository.path}", into=str(into), file_root=str(repository.path.parent))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"..", "has an invalid name"),
        (b".", "has an invalid name"),
        (b"../../escaped", "has an invalid name"),
        (b"/tmp/escaped", "has an invalid name"),
        (b".git", "git's own"),
        (b".GIT", "git's own"),
        (b"a" * 300, "too long"),
    ],
)
@pytest.mark.parametrize("mode", [FILE, FOLDER, LINK])
async def test_a_name_that_leads_elsewhere_is_left_out(
    repository: Repository, into: Path, name: bytes, why: str, mode: int
) -> None:
    def make(repo: Repo) -> ObjectID:
        inner = tree(repo, [(b"config", FILE, blob(repo, b"x"))])
        good = tree(repo, [(b"template.conf", FILE, blob(repo, b"TEMPLATE_APP=web\n"))])
        return tree(repo, [(name, mode, inner if mode == FOLDER else blob(repo, b"x")), (b"web", FOLDER, good)])

    repository.commit_tree(make)
    answer = reader.answer(request(repository, into))
    assert answer.outcome is Outcome.READ, answer
    assert [why in in_words_of(omission.why) for omission in answer.omitted] == [True]
    written = [path for path in into.rglob("*") if path.is_file()]
    assert [path.name for path in written] == ["template.conf"]
    assert sorted(path.name for path in into.parent.iterdir()) == ["into", "recipes.git"]


async def test_links_are_made_and_read_only_within_the_tree(repository: Repository, into: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted", encoding="utf-8")
    repository.commit(
        WEB
        | {
            "out/template.conf": "TEMPLATE_APP=out\n",
            "out/container-configs/scripts/10-out.sh": f"-> {secret}",
            "in/template.conf": "TEMPLATE_APP=in\n",
            "in/container-configs": "-> ../web/container-configs",
            "up": "-> ../../../..",
        }
    )
    answer = reader.answer(request(repository, into))
    assert answer.omitted == ()
    found = discover(into / "files/recipes")
    assert sorted(content.name for content in found.found) == ["in", "web"]
    assert sorted(refusal.name for refusal in found.refused) == ["out", "up"]
    assert all("leads out" in in_words_of(refusal.why) for refusal in found.refused)
    assert "planted" not in repr(found)


async def test_links_come_last_so_that_nothing_is_written_through_one(into: Path, repository: Repository) -> None:
    """A tree with a link and a folder of one name, which git never makes. The folder is written, inside the target."""
    outside = into.parent / "outside"
    outside.mkdir()
    files = into / "files"
    files.mkdir()
    with Repo(str(repository.path)) as repo:
        writing = checkout._Checkout(repo.object_store, files, "")
        writing.links.append(("a", os.fsencode(outside)))
        writing.folder(tree(repo, [(b"a", FOLDER, tree(repo, [(b"x", FILE, blob(repo, b"x"))]))]), "", 0)
        writing.make_links()
    assert (files / "a/x").read_bytes() == b"x"
    assert [omission.path for omission in writing.omitted] == ["a"]
    assert list(outside.iterdir()) == []


async def test_submodules_and_odd_kinds_are_named_and_left_out(repository: Repository, into: Path) -> None:
    def make(repo: Repo) -> ObjectID:
        data = blob(repo, b"#!/bin/sh\n")
        nowhere = ObjectID(b"1" * 40)
        entries = [(b"module", SUBMODULE, nowhere), (b"device", 0o020000, data), (b"run", EXECUTABLE | 0o4000, data)]
        return tree(repo, [*entries, (b"empty-link", LINK, blob(repo, b""))])

    repository.commit_tree(make)
    answer = reader.answer(request(repository, into))
    assert sorted(omission.path for omission in answer.omitted) == ["device", "empty-link", "module"]
    assert stat.S_IMODE((into / "files/recipes/run").stat().st_mode) == 0o755


async def test_a_tree_that_repeats_itself_without_end_is_refused(repository: Repository, into: Path) -> None:
    def make(repo: Repo) -> ObjectID:
        level = tree(repo, [(b"f", FILE, blob(repo, b"x"))])
        for _ in range(12):
            level = tree(repo, [(b"%d" % number, FOLDER, level) for number in range(10)])
        return level

    repository.commit_tree(make)
    answer = reader.answer(request(repository, into))
    assert (answer.outcome, "20,000 files" in in_words_of(answer.why)) == (Outcome.FAILED, True)


async def test_a_tree_too_deep_is_left_out_below(repository: Repository, into: Path) -> None:
    def make(repo: Repo) -> ObjectID:
        level = tree(repo, [(b"f", FILE, blob(repo, b"x"))])
        for _ in range(60):
            level = tree(repo, [(b"d", FOLDER, level)])
        return level

    repository.commit_tree(make)
    answer = reader.answer(request(repository, into))
    assert [in_words_of(omission.why) for omission in answer.omitted] == ["is deeper than the 24 folders that are read"]


async def test_more_bytes_than_are_read_are_refused(
    repository: Repository, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "MAX_CHECKOUT_BYTES", 1000)
    repository.commit({"a": "x" * 600, "b": "y" * 600})
    answer = reader.answer(request(repository, into))
    assert (answer.outcome, "1,000 bytes" in in_words_of(answer.why)) == (Outcome.FAILED, True)


async def test_a_bomb_ends_its_own_process_only(repository: Repository, into: Path) -> None:
    """3 GB of zeros in a blob of 3 MB. zlib's checksum at its end is missing, but memory runs out before that."""
    size, zeros = 3 << 30, bytes(1 << 24)
    header = b"blob %d\0" % size
    packer, digest = zlib.compressobj(9), sha1(header, usedforsecurity=False)
    beginning = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # the flush makes all parts equal
    for _ in range(size >> 24):
        digest.update(zeros)
    name = digest.hexdigest()
    folder = repository.path / "objects" / name[:2]
    folder.mkdir(exist_ok=True)
    (folder / name[2:]).write_bytes(beginning + part * (size >> 24))
    repository.commit_tree(lambda repo: tree(repo, [(b"big", FILE, ObjectID(name.encode()))]))
    with pytest.raises(SourceError, match="memory"):
        await reader_process.read(request(repository, into))


async def test_a_damaged_repository_is_told_in_words(repository: Repository, into: Path) -> None:
    repository.commit_tree(lambda repo: tree(repo, [(b"f", FILE, ObjectID(b"1" * 40))]))
    assert "damaged" in in_words_of(reader.answer(request(repository, into)).why)
    repository.commit_tree(lambda repo: tree(repo, [(b"f", FOLDER, blob(repo, b"x"))]))
    assert "damaged" in in_words_of(reader.answer(request(repository, into)).why)


def test_a_budget_ends_what_a_server_sends() -> None:
    budget = Budget(10)
    assert budget.spend(b"12345") == b"12345"
    with pytest.raises(SourceError, match="larger"):
        budget.spend(struct.pack("6x"))


async def test_a_manifest_above_the_subfolder_that_is_a_link_reads_nothing_elsewhere(
    repository: Repository, into: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("{")

    def make(repo: Repo) -> ObjectID:
        web = tree(repo, [(b"template.conf", FILE, blob(repo, b"TEMPLATE_APP=web\n"))])
        link = blob(repo, str(tmp_path / "secret").encode())
        return tree(repo, [(b"manifest.json", LINK, link), (b"web", FOLDER, web)])

    repository.commit_tree(make)
    asked = dataclasses.replace(request(repository, into), subfolder="web", from_above="manifest.json")
    answer = await reader_process.read(asked)
    assert answer.omitted == ()
    (refused,) = discover(into / "files/recipes", below="web").refused
    assert (refused.name, refused.file, in_words_of(refused.why)) == (
        "web",
        "manifest.json",
        "is a link that leads out of the templates' folder",
    )
