"""The whole product with a worker and real guests, called by programs."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.settings import Settings
from tests.e2e.job_runs import write_template
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack, running_stack

# A job checks once a minute whether PVE still accepts its token.
DEADLINE_S = 150.0
POLL_S = 0.1
ENDED = frozenset({"done", "failed", "cancelled"})


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("api")) as running:
        if running.sandbox["guests"] == "simulated":
            pytest.skip("this machine allows no real guests")
        yield running


@dataclass
class Api:
    """A program with an API token of root@pam."""

    stack: Stack
    node: NodeSide
    token: str

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"PVEAPIToken={self.token}"}
        return httpx.request(method, f"{self.stack.url}{path}", headers=headers, timeout=60, **options)

    def create(self, **fields: Any) -> dict[str, Any]:
        answer = self.ask("POST", routes.API_CREATIONS, json=fields)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def read(self, job_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", routes.api_creation(job_id)).raise_for_status().json())

    def until_ended(self, job_id: str) -> dict[str, Any]:
        return dict(self.until(lambda: found if (found := self.read(job_id))["state"] in ENDED else None))

    def until_said(self, job_id: str, text: str) -> None:
        path = f"{routes.api_creation(job_id)}/log"
        self.until(lambda: text in self.ask("GET", path, params={"follow": "false"}).text)

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not come in time"
            time.sleep(POLL_S)
        return found

    def template(self, folder: Path, **scripts: str) -> str:
        """Store a new template with these scripts; return its name."""
        name = f"api-{secrets.token_hex(4)}"
        write_template(folder, name, {f"{script}.sh": content for script, content in scripts.items()})

        async def store() -> None:
            async with Runtime.open(Settings.load(self.stack.environ)) as rt:
                await sync.sync_folders(rt.db, [(name, folder)])

        asyncio.run(store())
        return name


@pytest.fixture
def api(stack: Stack) -> Api:
    node = NodeSide(stack)
    return Api(stack, node, node.new_token())
