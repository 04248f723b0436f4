from __future__ import annotations

import platform
import subprocess
import sys

import pytest

LOOKED_AT = """
import sys
from lxc_dashboard.commands import serve
serve.block_unused_imports()
import lxc_dashboard.app, socketio
seldom = {"paramiko", "invoke", "nacl", "dulwich", "alembic"}
print(sorted(name for name, module in sys.modules.items() if module and name.partition(".")[0] in {*serve.UNUSED, *seldom}))
"""

FREED = """
import re
from pathlib import Path
from lxc_dashboard import memory

def resident_kb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

memory.return_large_buffers()
larger = bytearray(30_000_000)
del larger
large = bytearray(b"x" * 1_000) * 10_000
after_it = [bytearray(b"x" * 1_000) for _ in range(1_000)]
before = resident_kb()
del large
print(before - resident_kb() > 9_000)
"""

TRIMMED = """
import re
from pathlib import Path
from lxc_dashboard import memory

def resident_kb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

messages, kept = [], []
for _ in range(1_000):
    messages.append(bytearray(20_000))
    kept.append(bytearray(1_000))
del messages
before = resident_kb()
memory.trim()
print(before - resident_kb() > 9_000)
"""


def test_the_web_process_loads_nothing_that_clients_workers_and_migrations_need() -> None:
    result = subprocess.run([sys.executable, "-c", LOOKED_AT], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps large buffers")
def test_the_web_process_gives_a_large_buffer_back_though_it_freed_a_larger_one() -> None:
    result = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps free pages")
def test_free_pages_between_buffers_in_use_go_back_to_the_system() -> None:
    result = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr
