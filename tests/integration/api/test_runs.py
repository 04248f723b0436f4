"""Programs create containers: the worker builds them with the caller's token; logs can be read while they grow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from psycopg import sql

from lxc_dashboard import routes
from tests.integration.api.conftest import Api

WAITS = "echo begun\nuntil test -e /root/go; do sleep 0.05; done\necho over\n"


@pytest.fixture
def reader() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def read_log(
    api: Api, job_id: str, at: Callable[[str], str] = routes.api_creation, **params: Any
) -> list[dict[str, Any]]:
    """Read the stream to its end."""
    headers = {"Authorization": f"PVEAPIToken={api.token}"}
    url = f"{api.stack.url}{at(job_id)}/log"
    with httpx.stream("GET", url, headers=headers, params=params, timeout=90) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.iter_lines() if line.strip()]


def test_a_template_becomes_a_container_and_its_log_is_followed_to_the_end(api: Api) -> None:
    made = api.create(template="hello", hostname="by-token", cores=1, memory_mib="256", tags="ci")
    assert made["template"].startswith("hello r")
    lines = read_log(api, made["id"])
    assert lines[-1] == {"type": "end", "state": "done", "message": ""}
    numbers = [line["seq"] for line in lines[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    said = [line["text"] for line in lines[:-1] if line["script"] == "50-count.sh"]
    assert [text for text in said if text.endswith("of 3")] == ["1 of 3", "2 of 3", "3 of 3"]
    done = api.read(made["id"])
    assert (done["state"], done["percent"], done["error"]) == ("done", 100, None)
    assert "hello" in done["result"]["credentials"]
    assert {step["state"] for step in done["steps"]} == {"done"}
    assert api.node.run(made["vmid"], "cat /opt/hello/greeting.txt").strip()
    path = f"{routes.api_creation(made['id'])}/credentials"
    assert set(api.ask("POST", path, json={"name": "root"}).json()["values"]) == {"password"}
    password = api.node.run(made["vmid"], "cat /opt/hello/password").strip()
    assert api.ask("POST", path, json={"name": "hello"}).json() == {"values": {"PASSWORD": password}}
    assert api.ask("POST", path, json={"name": "other"}).status_code == 404
    assert read_log(api, made["id"], after=numbers[-2], follow="false") == lines[-2:]


def test_a_run_is_stopped_and_cleared_away(api: Api, tmp_path: Path) -> None:
    made = api.create(template=api.template(tmp_path, waits=WAITS), hostname="stopped", disk_gib=1, memory_mib=256)
    api.until_said(made["id"], "begun")
    at = routes.api_creation(made["id"])
    assert api.ask("POST", f"{at}/cancel").status_code == 202
    assert read_log(api, made["id"])[-1]["state"] == "cancelled"
    assert api.ask("DELETE", at, params={"vmid": made["vmid"] + 1}).status_code == 422
    gone = api.ask("DELETE", at, params={"vmid": made["vmid"]})
    assert (gone.status_code, gone.json()["kind"], gone.json()["vmid"]) == (202, "container.destroy", made["vmid"])
    assert read_log(api, gone.json()["id"], at=routes.api_job)[-2]["text"] == f"Destroyed CT {made['vmid']} stopped"
    assert api.node.guests("stopped") == []


def test_a_token_that_is_revoked_ends_its_run_and_its_readers_and_another_one_retries(
    api: Api, reader: ThreadPoolExecutor, tmp_path: Path
) -> None:
    made = api.create(template=api.template(tmp_path, waits=WAITS), hostname="revoked", disk_gib=1, memory_mib=256)
    api.until_said(made["id"], "begun")
    reading = reader.submit(read_log, api, made["id"])
    api.node.revoke(api.token)
    lost = reading.result(timeout=60)[-1]
    refused = {"type": "end", "state": "", "message": "The API token is missing, wrong or no longer valid"}
    assert lost in (refused, {"type": "end", "state": "failed", "message": ""})  # either may see it first
    other = Api(api.stack, api.node, api.node.new_token())
    failed = other.until_ended(made["id"])  # the script goes on in the guest, and the retry adopts it
    assert failed["state"] == "failed"
    assert f"PVE no longer accepts the API token {api.token.partition('=')[0]}" in failed["error"]["message"]
    api.until(lambda: api.ask("GET", routes.api_creation(made["id"])).status_code == 401)
    assert other.ask("POST", f"{routes.api_creation(made['id'])}/retry").status_code == 202
    api.node.run(made["vmid"], "touch /root/go")
    lines = read_log(other, made["id"])
    assert lines[-1]["state"] == "done"
    assert [line["text"] for line in lines[:-1]].count("begun") == 1


def test_a_run_that_pauses_goes_on_when_it_is_told_to(api: Api) -> None:
    made = api.create(hostname="pauses", disk_gib=1, memory_mib=256, pause_after_create=True)
    paused = api.until(lambda: found if (found := api.read(made["id"]))["state"] == "paused" else None)
    assert paused["may_go_on"]
    assert api.ask("POST", f"{routes.api_creation(made['id'])}/go-on").status_code == 202
    assert api.until_ended(made["id"])["state"] == "done"


def test_no_secret_of_a_program_stands_where_it_may_be_read(api: Api, tmp_path: Path) -> None:
    """Neither during the job nor after its end: no log, row or key of Valkey holds it."""
    planted = ("Planted-secret-7", api.token.partition("=")[2])
    made = api.create(
        template=api.template(tmp_path, waits=WAITS),
        hostname="discreet",
        disk_gib=1,
        memory_mib=256,
        password=planted[0],
    )
    api.until_said(made["id"], "begun")
    for secret in planted:
        assert secret not in everything_kept(api)
    api.node.run(made["vmid"], "touch /root/go")
    assert api.until_ended(made["id"])["state"] == "done"
    log = api.ask("GET", f"{routes.api_creation(made['id'])}/log", params={"follow": "false"}).text
    for secret in planted:
        assert secret not in everything_kept(api) + log


def everything_kept(api: Api) -> str:
    said = [api.stack.children[name].said() for name in ("web", "worker")]
    with redis.Redis.from_url(api.stack.environ["REDIS_URL"]) as valkey:
        kept = [f"{key!r} {valkey.dump(key)!r}" for key in valkey.scan_iter()]
    with psycopg.connect(api.stack.environ["DATABASE_URL"]) as database:
        names = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        tables = [sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name)) for (name,) in names]
        rows = [row for table in tables for (row,) in database.execute(table)]
    assert said[0]
    assert rows
    return "\n".join([*said, *kept, *rows])
