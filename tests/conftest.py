"""What all tests share: how hypothesis searches, which files begin first, and a closed network in unit tests."""

from __future__ import annotations

import functools
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

TESTS = Path(__file__).parent
UNIT_TESTS = (TESTS / "unit", TESTS / "sandbox" / "unit")

# No deadline: two cores run several things at once, and a slow example is no wrong one.
hypothesis.settings.register_profile("default", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True)
hypothesis.settings.load_profile("default")


# Files that take longest, the longest first, each mostly by waiting: one that begins late is what all wait for at the end.
LONGEST = (
    "integration/crashes/test_schedules.py",
    "integration/templates_built/test_built.py",
    "integration/queue/test_queue.py",
    "integration/api/test_runs.py",
    "integration/commands/test_demo.py",
    "integration/faults/test_latency.py",
    "integration/faults/test_worker_killed.py",
    "integration/auth/test_sign_in.py",
    "integration/faults/test_pve_in_trouble.py",
    "integration/commands/test_fresh_clone.py",
    "integration/faults/test_clocks.py",
    "integration/faults/test_servers.py",
    "integration/api/test_command.py",
    "integration/faults/test_connections.py",
    "integration/faults/test_ends.py",
    "integration/embedded/test_embedded.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several workers take file after file: the longest, then what has servers, then all else; of these the largest first."""
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (begins(item.path), -tests[item.path]))


def begins(path: Path) -> int:
    """A file's place among all: the smaller, the sooner it begins."""
    name = path.relative_to(TESTS).as_posix()
    if name in LONGEST:
        return LONGEST.index(name)
    return len(LONGEST) + is_unit_test(path)


def is_unit_test(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in UNIT_TESTS)


class ClosedNetworkError(Exception):
    """A unit test tried to reach something other than this machine."""


def is_local(address: Any) -> bool:
    """Whether a socket address is a file, loopback, or loopback's name."""
    if isinstance(address, (str, bytes)):
        return True
    host = str(address[0])
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def checked(call: Callable[..., Any], address_in: Callable[[tuple[Any, ...]], Any]) -> Callable[..., Any]:
    """``call``, refused where the address among its arguments is of another machine."""

    @functools.wraps(call)
    def refuse_or_call(*arguments: Any, **options: Any) -> Any:
        address = address_in(arguments)
        if not is_local(address):
            raise ClosedNetworkError(f"{address} is not on this machine")
        return call(*arguments, **options)

    return refuse_or_call


@pytest.fixture(autouse=True)
def closed_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests reach loopback only; a name is not even looked up."""
    if not is_unit_test(request.path):
        return
    for name in ("connect", "connect_ex", "sendto"):
        call = getattr(socket.socket, name)
        monkeypatch.setattr(socket.socket, name, checked(call, lambda arguments: arguments[-1]))
    looked_up = checked(socket.getaddrinfo, lambda arguments: (_text(arguments[0]),))
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else str(host or "")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A test that sets up logging does so for itself: its output is closed afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
