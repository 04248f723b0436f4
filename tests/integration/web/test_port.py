"""``lxc-dashboard web`` on a port that another process uses."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lxc_dashboard import frontend
from tests.e2e.stack import Child, Stack, answers, free_port, until

ENDS_WITHIN_S = 60


@contextlib.contextmanager
def web(stack: Stack, port: int, name: str = "web by command") -> Iterator[Child]:
    """Run the command as an operator does, with the stack's data."""
    child = stack.start(name, [sys.executable, "-m", "lxc_dashboard.cli", "web"], environ(stack, port))
    try:
        yield child
    finally:
        child.stop()


def has_ended(child: Child) -> bool:
    return child.process.poll() is not None


def environ(stack: Stack, port: int) -> dict[str, str]:
    return stack.environ | {"PORT": str(port)}


def refusal(stack: Stack, port: int) -> str:
    """The command's output when it ends with status 1."""
    command = [sys.executable, "-m", "lxc_dashboard.cli", "web"]
    ended = subprocess.run(
        command,
        env=environ(stack, port),
        cwd=frontend.root(),
        capture_output=True,
        check=False,
        text=True,
        timeout=ENDS_WITHIN_S,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


def test_a_second_web_server_on_a_port_ends_with_one_sentence_and_the_first_serves_on(stack: Stack) -> None:
    port = free_port()
    with web(stack, port) as first:
        until(lambda: answers(f"http://127.0.0.1:{port}/api/ready"), first)
        said = refusal(stack, port)
        assert said.startswith(f"error: Port {port} is in use by another program. Choose another one: PORT=")
        assert said.count("\n") == 1
        assert answers(f"http://127.0.0.1:{port}/api/ready")
    with web(stack, port) as next_one:
        until(lambda: answers(f"http://127.0.0.1:{port}/api/ready"), next_one)


@pytest.mark.full
def test_of_two_web_servers_that_start_at_once_on_a_port_one_ends(stack: Stack) -> None:
    port = free_port()
    with web(stack, port, "one") as one, web(stack, port, "other") as other:
        until(lambda: has_ended(one) or has_ended(other), Child("both", stack.children["sandbox"].process, one.log))
        loser, winner = (one, other) if has_ended(one) else (other, one)
        assert loser.process.returncode == 1
        assert f"Port {port} is in use by another program" in loser.said()
        until(lambda: answers(f"http://127.0.0.1:{port}/api/ready"), winner)


def test_a_port_of_another_program_ends_the_command_with_one_sentence(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refusal(stack, port)
    assert said.startswith(f"error: Port {port} is in use by another program.")
    assert said.count("\n") == 1
