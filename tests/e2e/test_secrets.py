"""The secrets of a creation must not appear in logs, Valkey, PostgreSQL, or anything that a browser receives."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import psycopg
import redis
from playwright.sync_api import Page, expect
from psycopg import sql

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form.spec import PasswordMode
from tests.e2e.conftest import visit
from tests.e2e.job_runs import GATE, RUN_MS, begin, in_services, let_go, line, state, vmid_of
from tests.e2e.stack import Stack

SLOW = {"10-slow.sh": f'echo begun\n{GATE}save_credential web PASSWORD "$(generate_password 20)"\necho over\n'}


def marrow(secret: str) -> str:
    """The secret's longest run of letters and digits, which no way of quoting changes."""
    found: list[str] = re.findall(r"[A-Za-z0-9]+", secret)
    return max(found, key=len)


def test_no_secret_of_a_creation_stands_anywhere_while_it_runs_and_after(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    heard: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    page.on("request", lambda request: heard.append(request.url))
    job = begin(stack, page, tmp_path, SLOW, hostname="web-secret", password_mode=PasswordMode.GENERATED)
    planted = {name: marrow(secret) for name, secret in secrets_of(stack, page, job).items()}
    assert min(map(len, planted.values())) >= 6
    visit(page, routes.job(job))
    expect(line(page, "begun")).to_be_visible(timeout=RUN_MS)
    assert found_of(planted, stack, page, heard) == []
    let_go(stack, vmid_of(stack, page, job))
    expect(state(page)).to_have_text("Ready", timeout=RUN_MS)
    planted["credential"] = in_services(stack, page, lambda rt, _: credential_of(rt, job))
    assert found_of(planted, stack, page, heard) == []
    visit(page, routes.JOBS)
    expect(page.get_by_role("link", name="web-secret")).to_be_visible()
    assert found_of(planted, stack, page, heard) == []


def secrets_of(stack: Stack, page: Page, job: str) -> dict[str, str]:
    """The secrets of a running job, by name."""

    async def read(rt: Runtime, session: Session) -> dict[str, str]:
        async with rt.db.transaction() as tx:
            creation = await tx.jobs.get(UUID(job))
            lent = await tx.tickets.get(creation.id)
            password = tx.containers.root_password(await tx.containers.get(creation.own_container_id))
        assert lent
        assert password
        return {"ticket": session.ticket, "csrf": session.csrf_token, "lent": lent.ticket, "password": password}

    cookie = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == sessions.COOKIE_NAME)
    door_key = stack.sandbox["ssh_client_key"].splitlines()[2]
    found = in_services(stack, page, read)
    return {**found, "cookie": cookie, "door key": door_key}


async def credential_of(rt: Runtime, job: str) -> str:
    """The credential that the script saved in the guest."""
    async with rt.db.transaction() as tx:
        container = await tx.containers.get((await tx.jobs.get(UUID(job))).own_container_id)
    return tx.containers.credentials(container)["web"]["PASSWORD"]


def found_of(planted: dict[str, str], stack: Stack, page: Page, heard: list[str]) -> list[str]:
    """``secret in place`` for each secret found. The sandbox's log is not checked, as it is not the product's."""
    storage = page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    places = {
        "logs": "".join(child.said() for name, child in stack.children.items() if name != "sandbox"),
        "Valkey": in_valkey(stack),
        "PostgreSQL": in_postgresql(stack, planted),
        "browser": "\n".join([*heard, page.content(), storage]),
    }
    assert all(places.values())
    return [
        f"{name} in {place}" for name, secret in planted.items() for place, text in places.items() if secret in text
    ]


def in_valkey(stack: Stack) -> str:
    """Every key and value as text: a dump may compress them."""
    with redis.Redis.from_url(stack.environ["REDIS_URL"]) as valkey:
        readers = {
            b"string": valkey.get,
            b"hash": valkey.hgetall,
            b"list": lambda key: valkey.lrange(key, 0, -1),
            b"set": valkey.smembers,
            b"zset": lambda key: valkey.zrange(key, 0, -1),
            b"stream": valkey.xrange,
        }
        kept = []
        for key in valkey.scan_iter(count=1000):
            kind = valkey.type(key)
            if kind != b"none":  # the key has expired since the scan
                kept.append(f"{key!r} {readers[kind](key)!r}")
    return "\n".join(kept)


def in_postgresql(stack: Stack, planted: dict[str, str]) -> str:
    """The names of the tables and each row that holds a secret: other tests may have logged hundreds of megabytes."""
    holds = "SELECT t::text FROM {} t WHERE EXISTS (SELECT FROM unnest(%s::text[]) s WHERE strpos(t::text, s) > 0)"
    with psycopg.connect(stack.environ["DATABASE_URL"]) as database:
        named = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = [name for (name,) in named]
        tables = [sql.SQL(holds).format(sql.Identifier(name)) for name in names]
        return "\n".join(
            [*names, *(row for table in tables for (row,) in database.execute(table, [[*planted.values()]]))]
        )
