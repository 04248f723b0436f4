"""What all tests share: the number of hypothesis examples, the order of files, a closed network in unit tests, logging."""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

TESTS = Path(__file__).parent
UNIT_TESTS = (TESTS / "unit", TESTS / "sandbox" / "unit")
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "20"))

# No deadline: a slow example on a busy machine is not a wrong one.
hypothesis.settings.register_profile("here", deadline=None, max_examples=EXAMPLES, print_blob=True)
hypothesis.settings.load_profile("here")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, run the slow integration files first: no worker sits over one while the others are done."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: is_unit_test(item.path))


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
