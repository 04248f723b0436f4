"""``node test`` and ``doctor`` check a door by running ``pct`` as a creation does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.commands import doctor
from lxc_dashboard.commands.doctor import Check, check_door
from lxc_dashboard.db.models import ProxmoxNode

if TYPE_CHECKING:
    from lxc_dashboard.guest.pool import SshPool
    from tests.unit.guest.conftest import Node

SUDO = """#!/bin/sh
[ "$1 $2" = "-n LC_ALL=C" ] && shift 2 && exec "$@"
"""


async def checked(node: Node, pool: SshPool, user: str = "lxc") -> Check:
    address = node.address()
    door = {"host": address.host, "port": address.port, "host_key": address.host_key}
    return await check_door(pool, ProxmoxNode(name="home", host="x", ssh_user=user), "pve1", door, node.private_key)


def put(node: Node, name: str, script: str) -> None:
    (node.folder / name).write_text(script)
    (node.folder / name).chmod(0o755)


async def test_another_account_than_root_is_tried_with_sudo(node: Node, pool: SshPool) -> None:
    put(node, "pct", '#!/bin/sh\n[ "$*" = list ]\n')
    put(node, "sudo", SUDO)
    assert (await checked(node, pool)).verdict == "ok"
    put(node, "sudo", "#!/bin/sh\necho a password is required >&2\nexit 1\n")
    refused = await checked(node, pool)
    assert refused.verdict == "wrong"
    assert "'lxc ALL=(root) NOPASSWD: /usr/sbin/pct'" in refused.remedy


async def test_root_needs_no_sudo(node: Node, pool: SshPool) -> None:
    put(node, "sudo", "#!/bin/sh\nexit 1\n")
    assert (await checked(node, pool, "root")).verdict == "ok"
    (node.folder / "pct").unlink()
    assert (await checked(node, pool, "root")).found == "signed in, but pct is missing"


async def test_a_node_that_hangs_is_given_up(node: Node, pool: SshPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DOOR_TIMEOUT_S", 0.5)
    put(node, "pct", "#!/bin/sh\nexec sleep 300\n")
    put(node, "sudo", SUDO)
    hung = await checked(node, pool)
    assert (hung.verdict, hung.found) == ("wrong", "signed in, but pct did not answer within 0.5 s")
