"""A program that calls the API with its own PVE API token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from lxc_dashboard import routes
from tests.e2e.stack import Stack


@dataclass
class Program:
    """``token`` empty: send none."""

    stack: Stack
    token: str = ""

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.stack.url, timeout=60) as client:
            return await client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, **options)

    async def create(self, key: str = "", **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.post(routes.API_CREATIONS, json=fields, headers=headers)

    async def log(self, job_id: str, **query: Any) -> list[dict[str, Any]]:
        """Read the stream to its end; return its objects."""
        answer = await self.get(f"{routes.api_creation(job_id)}/log", params=query)
        assert answer.status_code == 200, answer.text
        return objects(answer.text.splitlines())

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"PVEAPIToken={self.token}"} if self.token else {}


def objects(lines: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.strip()]
