"""The time of a warm ``make demo`` until it serves the sign-in page.

The first start makes the servers' data and the pages, and is not counted. The median of some further starts counts. Each
is the real command, timed until the first 200 of the sign-in page.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIGN_IN = "/sign-in"
MUST_REACH_S = 6.0
STARTS = 3
COLD_WITHIN_S = 300
WARM_WITHIN_S = 60
POLL_S = 0.02


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def served(port: int) -> bool:
    """Whether the demo serves the sign-in page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{SIGN_IN}", timeout=5) as answer:
            return bool(answer.status == 200 and b"<html" in answer.read())
    except OSError:  # HTTP errors are OSErrors, too
        return False


def start(data: str, port: int, within_s: float, log: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start the demo. Returns its process, and the seconds until the page was served."""
    environ = os.environ | {"PORT": str(port), "DEMO_DATA": data}
    begun = time.perf_counter()
    with log.open("ab") as out:
        demo = subprocess.Popen(
            ["make", "--silent", "demo"], cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True
        )
    while not served(port):
        if demo.poll() is not None or time.perf_counter() - begun > within_s:
            stop(demo)
            sys.exit(f"The demo did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(POLL_S)
    return demo, time.perf_counter() - begun


def stop(demo: subprocess.Popen[bytes]) -> float:
    """End the demo as Ctrl-C does, and return the seconds until it has ended."""
    begun = time.perf_counter()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(demo.pid, signal.SIGINT)
    demo.wait(60)
    return time.perf_counter() - begun


def main() -> int:
    """Print each start, then the median with the verdict. Returns 1 if the bound was missed."""
    with tempfile.TemporaryDirectory(prefix="lxc-dashboard-bench-") as data:
        log = Path(data) / "output"
        demo, cold_s = start(data, free_port(), COLD_WITHIN_S, log)
        print(f"first start   {cold_s:6.2f} s   end {stop(demo):5.2f} s   (makes everything, not counted)")
        warm = []
        for number in range(1, STARTS + 1):
            demo, seconds = start(data, free_port(), WARM_WITHIN_S, log)
            warm.append(seconds)
            print(f"warm start {number}  {seconds:6.2f} s   end {stop(demo):5.2f} s")
    median = statistics.median(warm)
    reached = median <= MUST_REACH_S
    print(f"bench=start seconds={median:.2f} verdict={'ok' if reached else 'short'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
