"""A repository behind real servers on loopback, and settings that allow sources there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from lxc_dashboard.services.templates.sources.registry import SourceInput
from lxc_dashboard.settings import Settings
from tests.git_servers import WEB, HttpsGit, Repository, SshGit, https_git, ssh_git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repositories"
    root.mkdir()
    return root


@pytest.fixture
def repository(root: Path) -> Repository:
    repository = Repository(root / "recipes.git")
    repository.commit(WEB)
    return repository


@pytest.fixture
def https(root: Path, tmp_path: Path) -> Iterator[HttpsGit]:
    with https_git(root, tmp_path / "tls") as git:
        yield git


@pytest.fixture
async def ssh(root: Path) -> AsyncIterator[SshGit]:
    async with ssh_git(root) as git:
        yield git


@pytest.fixture
def settings(settings_with: Callable[..., Settings], https: HttpsGit, root: Path) -> Settings:
    return settings_with(TEMPLATE_GIT_ALLOW_LOCAL="true", SSL_CERT_FILE=https.ca_file, TEMPLATE_GIT_FILE_ROOT=str(root))


@pytest.fixture
def wanted(https: HttpsGit, repository: Repository) -> SourceInput:
    assert repository.path.exists()
    return SourceInput("team", https.url("recipes.git"))
