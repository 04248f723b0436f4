"""The Chromium of the browser tests hears of no network interface."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import steady_chromium

SOCKETS = """
import socket, sys
for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM).close()
        print("given")
    except OSError as error:
        print(error.strerror)
print(sys.argv[1])
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in steady_chromium.PROCESSORS, reason="no filter for this machine"
)
def test_it_is_given_every_socket_but_those_that_tell_of_interfaces(tmp_path: Path) -> None:
    launcher = steady_chromium.launcher(sys.executable, tmp_path)
    said = subprocess.run([launcher, "-c", SOCKETS, "as asked"], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.splitlines() == ["given", "given", "Address family not supported by protocol", "as asked"]
