"""The whole product for the browser tests: database, Valkey, sandbox, worker and web server, each a real process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from lxc_dashboard import frontend
from lxc_dashboard.commands.demo.prepare import register_sandbox
from lxc_dashboard.db import migrate
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.settings import Settings, Timing

SANDBOX = "pve_sandbox"
STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 15.0
POLL_S = 0.05
FIRST_PORT, PORTS = 20_000, 10_000
# Short times, so that tests do not wait. A lease still lasts much longer than a busy machine delays its worker.
QUICK = Timing(
    lease_s=5,
    renew_lease_every_s=1,
    reap_every_s=1,
    enqueue_again_s=3,
    settle_every_s=2,
    check_ticket_every_s=2,
    find_task_within_s=2,
    find_task_again_within_s=0.5,
    check_review_every_s=3,
)
# Environment variables that child processes inherit, with those that coverage needs.
PASSED_ON = {"PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE"}


@dataclass
class Child:
    """One process of the stack, its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOPS_WITHIN_S)

    def pause(self) -> None:
        """The process still accepts connections, but answers none."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process without warning, as the kernel would."""
        self.process.kill()
        self.process.wait(STOPS_WITHIN_S)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Stack:
    """The running product: ``url`` of the pages, ``sandbox`` as it describes itself, ``users``: passwords by userid.

    ``environ``: the environment of web server and worker. ``worker`` may be killed and started again.
    """

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    sandbox: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def users(self) -> dict[str, str]:
        return dict(self.sandbox["users"])

    @property
    def worker(self) -> Child:
        return self.children["worker"]

    def start(self, name: str, command: list[str], environ: dict[str, str], cwd: Path | None = None) -> Child:
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, env=environ, cwd=cwd or frontend.root(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        child = Child(name, process, log)
        self.children[name] = child
        return child

    def stop(self) -> None:
        """Stop all children, the last one first."""
        for child in reversed(self.children.values()):
            child.stop()

    def start_sandbox(self, *options: str, stats_interval_s: float = 2.0, module: str = SANDBOX) -> Child:
        """Start a sandbox node and store the line of JSON that it prints in ``sandbox``."""
        command = [sys.executable, "-m", module, "--data", str(self.folder / "sandbox")]
        child = self.start("sandbox", [*command, "--stats-interval", str(stats_interval_s), *options], self.environ)
        until(lambda: bool(description(child)), child)
        self.sandbox = json.loads(description(child))
        return child

    def start_worker(self) -> Child:
        """Start the Celery worker and its beat, as ``lxc-dashboard worker`` runs them."""
        return self.start("worker", [sys.executable, "-m", "lxc_dashboard.cli", "worker"], self.environ)

    def start_web(self, port: int = 0) -> Child:
        """Start the web server on the built pages; return when it is ready."""
        self.port = port or free_port()
        environ = frontend.serve_environ(self.environ | {"PORT": str(self.port)})
        child = self.start("web", frontend.serve_command("127.0.0.1", self.port), environ)
        until(lambda: answers(f"{self.url}/api/ready"), child)
        return child

    def start_wide_web(self, workers: int) -> Child:
        """Start a second web server with several processes over the same data."""
        port = free_port()
        environ = frontend.serve_environ(self.environ | {"PORT": str(port)})
        child = self.start("wide web", frontend.serve_command("127.0.0.1", port, workers=workers), environ)
        child.url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{child.url}/api/ready"), child)
        return child

    def start_secure_web(self, certificate: Path, key: Path) -> int:
        """Start a second web server with TLS over the same data; return its port."""
        port = free_port()
        command = frontend.serve_command("127.0.0.1", port)
        options = ["--ssl-certificate", str(certificate), "--ssl-keyfile", str(key)]
        environ = frontend.serve_environ(self.environ | {"PORT": str(port)})
        child = self.start("secure web", [*command[:-1], *options, command[-1]], environ)
        until(lambda: answers(f"https://127.0.0.1:{port}/api/ready", verify=False), child)
        return port


def description(sandbox: Child) -> str:
    """The sandbox's line of JSON, or empty until the line is complete."""
    lines = sandbox.said().splitlines(keepends=True)
    return next((line for line in lines if line.startswith('{"sandbox"') and line.endswith("\n")), "")


def until(condition: Callable[[], bool], child: Child, within_s: float = STARTS_WITHIN_S) -> None:
    """Wait for ``condition``. Fail with the child's last output when it ends or the time is over."""
    deadline = time.monotonic() + within_s
    while not condition():
        if child.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{child.name} is not ready:\n{child.said()[-4000:]}")
        time.sleep(POLL_S)


def answers(url: str, *, verify: bool = True) -> bool:
    try:
        return httpx.get(url, timeout=2, verify=verify).status_code == 200
    except httpx.HTTPError:
        return False


def are_read(stack: Stack, root: Path) -> bool:
    """Whether the templates below ``root`` are stored. The web server serves pages before that."""
    wanted = "SELECT count(*) FROM template_source s JOIN template t ON t.source_id = s.id WHERE s.location = %s"
    with psycopg.connect(stack.environ["DATABASE_URL"]) as database:
        row = database.execute(wanted, [str(root)]).fetchone()
    return row is not None and row[0] >= len(list(root.glob("*/template.conf")))


def free_port() -> int:
    """A port below the system's ephemeral range, so that a restarted server finds its port still free."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def started_servers(folder: Path, ending: ExitStack) -> tuple[str, str]:
    runner = ending.enter_context(asyncio.Runner())
    embedded = EmbeddedServices(folder / "services", durable=False)
    runner.run(embedded.start())
    ending.callback(lambda: runner.run(embedded.stop()))
    return embedded.database_url, embedded.redis_url


def environ_of(folder: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """The environment of web server and worker."""
    return {
        **{name: value for name, value in os.environ.items() if name in PASSED_ON},
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ENCRYPTION_KEY": secrets.token_hex(32),
        "TEMPLATE_GIT_ALLOW_LOCAL": "true",
        "TEMPLATE_GIT_FILE_ROOT": str(folder),
        "PYTHONUNBUFFERED": "1",
        "TIMING": QUICK.model_dump_json(),
    }


@contextlib.contextmanager
def running_stack(
    folder: Path,
    *sandbox_options: str,
    worker: bool = True,
    web: bool = True,
    settings: Mapping[str, str] | None = None,
    servers: tuple[str, str] | None = None,
    sandbox: str = SANDBOX,
) -> Iterator[Stack]:
    """Start everything, with the sandbox registered as ``make demo`` does; stop everything at the end.

    ``servers``: the URLs of a PostgreSQL and a Valkey that already run. ``sandbox``: the module to run as the sandbox.
    """
    stack = Stack(folder)
    with ThreadPoolExecutor(1) as thread, ExitStack() as ending:
        database_url, redis_url = servers or started_servers(folder, ending)
        migrate.upgrade(database_url)
        stack.environ = environ_of(folder, database_url, redis_url) | dict(settings or {})
        ending.callback(stack.stop)
        stack.start_sandbox(*sandbox_options, module=sandbox)
        stack.environ["SANDBOX"] = "true"
        # In another thread: Playwright's loop may run in this one.
        thread.submit(asyncio.run, register_sandbox(Settings.load(stack.environ), stack.sandbox)).result()
        if web:
            frontend.ensure_built(os.environ)
        if worker:
            stack.start_worker()
        if web:
            shipped = dict(Settings.load(stack.environ).template_folders())["shipped"]
            until(lambda: are_read(stack, shipped), stack.start_web())
        yield stack
