"""Embedded servers run by an ordinary user, and by root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lxc_dashboard.embedded import EmbeddedServices, servers
from tests.integration.embedded.conftest import LIBRARIES
from tests.integration.embedded.kept import Hold


def open_python() -> str | None:
    """An interpreter that another account can run with our libraries, or None."""
    environment = {"PYTHONPATH": os.pathsep.join(LIBRARIES)}
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        path = Path(candidate).resolve()
        if path.exists() and all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents):
            probe = [candidate, "-c", "import psycopg, redis.asyncio"]
            if subprocess.run(probe, env=environment, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return candidate
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="this run is an ordinary user's already")
def test_an_ordinary_user_needs_no_privileges(hold: Hold) -> None:
    python = open_python()
    if python is None:
        pytest.skip("no interpreter that another account may run with our libraries")
    user = pwd.getpwnam("daemon")  # initdb requires an account with a name
    home = Path(tempfile.mkdtemp(prefix="lxc-dashboard-user-"))
    os.chown(home, user.pw_uid, user.pw_gid)
    try:
        holder = hold(home / "data", python=python, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/")
        pids = holder.ready()["pids"]
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {user.pw_uid}
        assert holder.finish() == 0
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")
async def test_root_runs_the_servers_from_a_closed_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "copies"
    place.mkdir()
    for parent in (place, *place.parents):
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    monkeypatch.setattr(servers, "_open_to_all", lambda _program: False)
    monkeypatch.setattr(servers, "_COPY_PLACES", (place,))
    async with EmbeddedServices(tmp_path / "data", durable=False) as services:
        (copy,) = place.iterdir()
        for server in services._servers():
            assert server.process is not None
            assert Path(f"/proc/{server.process.pid}/exe").readlink().is_relative_to(copy)
    async with EmbeddedServices(tmp_path / "data", durable=False):
        assert list(place.iterdir()) == [copy]
