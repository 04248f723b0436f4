"""Finding the mount point of cgroup v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from pve_sandbox.guests.namespaces.kernel import hierarchy

HYBRID = """proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


def test_the_second_version_is_found_beside_the_first() -> None:
    assert hierarchy(HYBRID) == Path("/sys/fs/cgroup/unified")


def test_it_is_found_where_it_is_the_only_one() -> None:
    assert hierarchy("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n") == Path("/sys/fs/cgroup")


def test_a_machine_without_it_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="cgroup2"):
        hierarchy("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n")
