"""Repositories read over each transport, from real servers on loopback, by the real process."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.services.templates.sources.git import reader, reader_process, transport
from lxc_dashboard.services.templates.sources.git.address import parse_address
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.reader_process import GitAnswer, GitRequest, Outcome
from lxc_dashboard.text import in_words_of
from tests.git_servers import WEB, HttpsGit, Repository, SshGit, https_git, ssh_git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repositories"
    root.mkdir()
    return root


@pytest.fixture
def repository(root: Path) -> Repository:
    return Repository(root / "recipes.git")


@pytest.fixture
def https(root: Path, tmp_path: Path) -> Iterator[HttpsGit]:
    with https_git(root, tmp_path / "tls") as git:
        yield git


@pytest.fixture
async def ssh(root: Path) -> AsyncIterator[SshGit]:
    async with ssh_git(root) as git:
        yield git


def over_https(git: HttpsGit, into: Path | None = None) -> GitRequest:
    return GitRequest(git.url("recipes.git"), into=str(into or ""), allow_local=True, ca_file=git.ca_file)


def over_ssh(git: SshGit, into: Path | None = None) -> GitRequest:
    return GitRequest(
        parse_address(git.url("recipes.git")).text,
        into=str(into or ""),
        allow_local=True,
        private_key=git.private_key,
        host_key=git.host_key,
    )


def names_in(into: Path, answer: GitAnswer) -> list[str]:
    assert answer.outcome is Outcome.READ
    return [content.name for content in discover(into / "files" / "recipes").found]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    into = tmp_path / "into"
    into.mkdir()
    return into


async def test_https_brings_the_one_commit(https: HttpsGit, repository: Repository, into: Path) -> None:
    repository.commit({"old": "x"})
    commit = repository.commit(WEB)
    answer = await reader_process.read(over_https(https, into))
    assert (answer.commit, answer.subject, answer.author) == (commit, "A change", "Ada Lovelace")
    assert names_in(into, answer) == ["web"]
    script = into / "files/recipes/web/container-configs/scripts/10-core.sh"
    assert script.stat().st_mode & 0o777 == 0o755


async def test_ssh_brings_the_one_commit(ssh: SshGit, repository: Repository, into: Path) -> None:
    commit = repository.commit(WEB)
    answer = await reader_process.read(over_ssh(ssh, into))
    assert answer.commit == commit
    assert names_in(into, answer) == ["web"]


async def test_a_folder_brings_it_too(root: Path, repository: Repository, into: Path) -> None:
    repository.commit(WEB)
    request = GitRequest(f"file://{repository.path}", into=str(into), file_root=str(root))
    assert names_in(into, await reader_process.read(request)) == ["web"]


async def test_what_is_known_costs_the_listing_only(
    https: HttpsGit, ssh: SshGit, repository: Repository, into: Path
) -> None:
    commit = repository.commit(WEB)
    for request in (over_https(https, into), over_ssh(ssh, into)):
        answer = await reader_process.read(dataclasses.replace(request, known_commit=commit))
        assert answer == GitAnswer(Outcome.UNCHANGED, commit)
    assert https.fetches == 0
    assert list(into.iterdir()) == []


async def test_a_look_fetches_nothing(https: HttpsGit, repository: Repository) -> None:
    commit = repository.commit(WEB)
    assert await reader_process.read(over_https(https)) == GitAnswer(Outcome.UNCHANGED, commit)


async def test_a_branch_a_tag_and_a_subfolder(
    https: HttpsGit, repository: Repository, into: Path, tmp_path: Path
) -> None:
    first = repository.commit({f"recipes/{name}": data for name, data in WEB.items()} | {"rest": "x"})
    tag = repository.tag("v1", first)
    side = repository.commit({"db/template.conf": "TEMPLATE_APP=db\n"}, branch="side/one")
    tagged = dataclasses.replace(over_https(https, into), ref="v1", subfolder="recipes")
    answer = await reader_process.read(tagged)
    assert answer.commit == tag
    assert sorted(path.name for path in (into / "files/recipes").iterdir()) == ["recipes"]
    assert [content.name for content in discover(into / "files/recipes/recipes").found] == ["web"]
    other = tmp_path / "other"
    other.mkdir()
    answer = await reader_process.read(dataclasses.replace(over_https(https, other), ref="side/one"))
    assert (answer.commit, names_in(other, answer)) == (side, ["db"])


@pytest.mark.parametrize("missing", ["repository", "branch", "folder", "commit"])
async def test_what_is_not_there_is_told_as_gone(
    https: HttpsGit, ssh: SshGit, repository: Repository, into: Path, missing: str
) -> None:
    if missing != "commit":
        repository.commit(WEB)
    ref, subfolder = "gone" if missing == "branch" else "", "web/gone" if missing == "folder" else ""
    if missing == "repository":
        repository.path.rename(repository.path.with_name("away.git"))
    for request in (over_https(https, into / "https"), over_ssh(ssh, into / "ssh")):
        Path(request.into).mkdir()
        with pytest.raises(SourceGoneError) as caught:
            await reader_process.read(dataclasses.replace(request, ref=ref, subfolder=subfolder))
        assert (ref or subfolder) in caught.value.user_message


async def test_credentials_are_used_and_a_wrong_one_is_no_vanishing(
    https: HttpsGit, repository: Repository, into: Path
) -> None:
    repository.commit(WEB)
    https.password = "planted-secret"
    request = dataclasses.replace(over_https(https, into), username="robot")
    with pytest.raises(SourceError, match="credentials") as caught:
        await reader_process.read(dataclasses.replace(request, password="planted-wrong"))
    assert not isinstance(caught.value, SourceGoneError)
    assert "planted" not in str(caught.value)
    right = dataclasses.replace(request, password="planted-secret")
    assert "planted" not in repr(right)
    assert names_in(into, await reader_process.read(right)) == ["web"]


@pytest.mark.parametrize("password", ["planted-secret", "git"])
async def test_a_secret_that_a_server_echoes_is_removed_and_the_code_is_not(
    https: HttpsGit, repository: Repository, password: str
) -> None:
    https.refusal = f"{password} is wrong\x1b"
    with pytest.raises(SourceError) as caught:
        await reader_process.read(dataclasses.replace(over_https(https), password=password))
    assert caught.value.reason.code == GitCode.NOT_GIT
    assert caught.value.reason.params["answer"].strip() == "… is wrong?"


async def test_a_certificate_of_nobody_is_refused(https: HttpsGit, repository: Repository) -> None:
    repository.commit(WEB)
    with pytest.raises(SourceError, match="TLS certificate"):
        await reader_process.read(dataclasses.replace(over_https(https), ca_file=""))


async def test_another_host_key_is_refused_before_anything_is_sent(ssh: SshGit, repository: Repository) -> None:
    repository.commit(WEB)
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    with pytest.raises(SourceError, match=r"not the pinned one.*pinned SHA256:.*offered SHA256:"):
        await reader_process.read(dataclasses.replace(over_ssh(ssh), host_key=other))
    assert ssh.commands == []


async def test_loopback_is_refused_unless_the_settings_allow_it(
    https: HttpsGit, ssh: SshGit, repository: Repository
) -> None:
    repository.commit(WEB)
    for request in (over_https(https), over_ssh(ssh)):
        with pytest.raises(SourceError, match="TEMPLATE_GIT_ALLOW_LOCAL"):
            await reader_process.read(dataclasses.replace(request, allow_local=False))
    assert (https.requests, ssh.commands) == ([], [])


async def test_a_redirect_to_another_server_is_refused(https: HttpsGit, repository: Repository, tmp_path: Path) -> None:
    repository.commit(WEB)
    with https_git(repository.path.parent, tmp_path / "tls") as other:
        https.redirect = f"https://localhost:{other.port}"
        with pytest.raises(SourceError, match="another one"):
            await reader_process.read(over_https(https))
        https.redirect = f"http://localhost:{https.port}"
        with pytest.raises(SourceError, match="another one"):
            await reader_process.read(over_https(https))
        assert other.requests == []


async def test_a_redirect_in_a_circle_ends(https: HttpsGit, repository: Repository) -> None:
    repository.commit(WEB)
    https.redirect = f"https://localhost:{https.port}"
    with pytest.raises(SourceError, match="status 302"):
        await reader_process.read(over_https(https))


async def test_a_folder_outside_the_allowed_one_is_refused(root: Path, repository: Repository, tmp_path: Path) -> None:
    repository.commit(WEB)
    (root / "inner").mkdir()
    (root / "inner" / "link.git").symlink_to(repository.path)
    for location, allowed in (
        (repository.path, ""),
        (repository.path, str(root / "inner")),
        (root / "inner" / "link.git", str(root / "inner")),
    ):
        with pytest.raises(SourceError, match="TEMPLATE_GIT_FILE_ROOT"):
            await reader_process.read(GitRequest(f"file://{location}", file_root=allowed))


async def test_a_folder_whose_objects_lie_elsewhere_is_refused(root: Path, tmp_path: Path) -> None:
    outside = Repository(tmp_path / "outside.git")
    outside.commit(WEB)
    inside = Repository(root / "inside.git")
    (inside.path / "objects/info").mkdir(exist_ok=True)
    (inside.path / "objects/info/alternates").write_text(f"{outside.path}/objects\n", encoding="utf-8")
    with pytest.raises(SourceError, match="A part of this repository"):
        await reader_process.read(GitRequest(f"file://{inside.path}", file_root=str(root)))


async def test_a_server_that_never_answers_is_left_in_time(
    https: HttpsGit, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(WEB)
    https.hold = threading.Event()
    monkeypatch.setattr(reader_process, "DEADLINE_S", 2.0)
    before = asyncio.get_running_loop().time()
    with pytest.raises(SourceError, match="within 2 s"):
        await reader_process.read(over_https(https))
    https.hold.set()
    assert asyncio.get_running_loop().time() - before < 30


async def test_a_repository_too_large_is_left_in_the_middle(
    https: HttpsGit, ssh: SshGit, repository: Repository, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"noise": random.Random(7).randbytes(200_000)})  # noqa: S311 incompressible content
    monkeypatch.setattr(transport, "MAX_PACK_BYTES", 100_000)
    for request in (over_https(https, into), over_ssh(ssh, into)):
        answer = await asyncio.to_thread(reader.answer, request)
        assert (answer.outcome, "larger than the 100,000 bytes" in in_words_of(answer.why)) == (Outcome.FAILED, True)
        assert list(into.iterdir()) == []


async def test_an_answer_that_never_ends_is_left(
    https: HttpsGit, repository: Repository, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"noise": random.Random(7).randbytes(200_000)})  # noqa: S311 as above
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 50_000)
    answer = await asyncio.to_thread(reader.answer, over_https(https, into))
    assert (answer.outcome, "larger than" in in_words_of(answer.why)) == (Outcome.FAILED, True)


async def test_a_server_that_is_no_git_server_is_told(https: HttpsGit, repository: Repository) -> None:
    """The server answers 200 with something else, such as the web page of a git host."""
    repository.commit(WEB)
    https.plain = True
    with pytest.raises(SourceError, match="smart HTTP"):
        await reader_process.read(over_https(https))


async def test_who_stops_waiting_leaves_no_process(https: HttpsGit, repository: Repository) -> None:
    repository.commit(WEB)
    https.hold = threading.Event()
    task = asyncio.create_task(reader_process.read(over_https(https)))
    async with asyncio.timeout(60):
        while not https.requests:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    https.hold.set()
