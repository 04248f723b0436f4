"""Replay recorded exchanges against a running sandbox, and compare the answers."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from pve_sandbox.node import SandboxNode

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "pve-sandbox" / "exchanges.json").read_text()
)
CUT = "…"  # marks omitted text in a recording
PASSWORDS = {"root@pam": "labpass1", "alice@pve": "alicepass12", "bob@pve": "bobpass1234", "mgr@pve": "mgrpass1234"}
DEADLINE_S = 60
# These differ on every machine or every time.
VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|SHA256:\S+|\d+(\.\d+)?MiB/s|Total bytes read: .*|\d{4}-\d\d-\d\d [\d:]+"
)
# Properties of the recording's lab, and additions of the sandbox.
ARTEFACTS = (
    "pressure",  # null: its kernel had none
    "Temporary failure in name resolution",  # the lab had no network for its resolver
    "data.timezone",  # null: its clock had none
    "node_network: data: items of",  # only a bridge: the lab had no network card
)


@dataclass
class Lab:
    """A signed-in client of the sandbox, and the differences found so far."""

    node: SandboxNode
    http: httpx.AsyncClient
    tickets: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    async def headers(self, who: str, *, csrf: bool) -> dict[str, str]:
        """Build the headers of a user with a ticket, or of a token (``user!name``)."""
        if who in self.tokens:
            return {"Authorization": f"PVEAPIToken={who}={self.tokens[who]}"}
        if who not in self.tickets:
            form = {"username": who, "password": PASSWORDS[who]}
            answer = await self.http.post("/api2/json/access/ticket", data=form)
            self.tickets[who] = answer.json()["data"]
        ticket = self.tickets[who]
        prevention = {"CSRFPreventionToken": ticket["CSRFPreventionToken"]} if csrf else {}
        return {"Cookie": "PVEAuthCookie=" + quote(ticket["ticket"], safe=""), **prevention}

    async def send(
        self,
        name: str,
        *,
        who: str | None = None,
        headers: dict[str, str] | None = None,
        body: str = "",
        path: str = "",
    ) -> httpx.Response:
        """Send a recorded request. Arguments replace its method, path or body."""
        request = RECORDED[name]["request"]
        if headers is None:
            recorded = request.get("auth", "none") != "none"
            asked = who or ("root@pam" if recorded else "")
            headers = await self.headers(asked, csrf=bool(request.get("csrf"))) if asked else {}
        content = body or request.get("body") or ""
        kind = request.get("content_type") or "application/x-www-form-urlencoded"
        return await self.http.request(
            request["method"],
            path or request["path"],
            content=content.encode() or None,
            headers={**headers, **({"Content-Type": kind} if content else {})},
        )

    async def play(self, *names: str, **how: Any) -> httpx.Response:
        """Send each exchange and compare. Returns the last answer."""
        for name in names:
            answer = await self.send(name, **how)
            self.differences += [f"{name}: {text}" for text in compare(RECORDED[name]["response"], answer)]
            if name + "__task_status" in RECORDED:
                await self.follow(name, answer)
        return answer

    async def follow(self, name: str, answer: httpx.Response) -> None:
        """Wait for the task of an exchange, and compare its end and its log."""
        if answer.status_code != httpx.codes.OK or not str(answer.json()["data"]).startswith("UPID:"):
            return
        upid = answer.json()["data"]
        base = f"/api2/json/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}"
        headers = await self.headers("root@pam", csrf=False)
        deadline = time.monotonic() + DEADLINE_S
        while (status := await self.http.get(base + "/status", headers=headers)).json()["data"]["status"] == "running":
            assert time.monotonic() < deadline, f"{name}: the task did not end"
            await asyncio.sleep(0.01)
        end = RECORDED[name + "__task_status"]["response"]
        self.differences += [f"{name}, task: {text}" for text in compare(end, status)]
        want, got = end["body_json"]["data"]["exitstatus"], status.json()["data"]["exitstatus"]
        if want != got:
            self.differences.append(f"{name}, exit status: {want!r}, here {got!r}")
        if name + "__task_log" in RECORDED:
            log = await self.http.get(base + "/log?limit=0", headers=headers)
            self.differences += [f"{name}, log: {text}" for text in compare_logs(name, log.json())]


def client_of(node: SandboxNode) -> httpx.AsyncClient:
    """An HTTPS client that trusts the node's CA and ignores proxies of the environment."""
    trust = ssl.create_default_context(cafile=str(node.ca_file))
    return httpx.AsyncClient(base_url=node.url, verify=trust, trust_env=False, timeout=DEADLINE_S)


def compare(recorded: dict[str, Any], answer: httpx.Response) -> list[str]:
    """Compare status, reason, kind of body, message and errors exactly, and the data by shape."""
    line = f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
    kinds = recorded["headers"].get("Content-Type"), answer.headers.get("Content-Type")
    found = [f"status {recorded['status_line']!r}, here {line!r}"] if line != recorded["status_line"] else []
    if kinds[0] != kinds[1]:
        found.append(f"Content-Type {kinds[0]!r}, here {kinds[1]!r}")
    return found + (_json_body(recorded, answer) if "body_json" in recorded else _text_body(recorded, answer))


def _text_body(recorded: dict[str, Any], answer: httpx.Response) -> list[str]:
    """Compare the text of an error exactly. Compressed bodies and logs are not compared."""
    text, headers = recorded.get("body_text") or "", recorded["headers"]
    opaque = "Content-Encoding" in headers or headers.get("Content-Type") == "text/plain"
    return [] if opaque or text == answer.text else [f"body {text!r}, here {answer.text!r}"]


def _json_body(recorded: dict[str, Any], answer: httpx.Response) -> list[str]:
    want = recorded["body_json"]
    try:
        body = answer.json()
    except ValueError:
        return [f"no JSON but {answer.text!r}"]
    exact = ("message", "errors", "status", "success")
    found = [f"{n} {want.get(n)!r}, here {body.get(n)!r}" for n in exact if want.get(n) != body.get(n)]
    if set(want) != set(body):
        found.append(f"keys {sorted(want)}, here {sorted(body)}")
    return found + list(shapes("data", want.get("data"), body.get("data")))


def shapes(where: str, want: Any, got: Any) -> list[str]:
    """Compare the kinds and keys of two values. Items of a list are compared by their ``type``."""
    if isinstance(want, dict) and isinstance(got, dict):
        found = [f"{where}: {sorted(set(want) ^ set(got))} only on one side"] if set(want) != set(got) else []
        return found + [
            text for key in sorted(set(want) & set(got)) for text in shapes(f"{where}.{key}", want[key], got[key])
        ]
    if isinstance(want, list) and isinstance(got, list):
        kept = [item for item in want if not (isinstance(item, str) and item.startswith(CUT))]
        return _lists(where, kept, got, cut=len(kept) < len(want))
    if ... in (want, got):
        return []  # the list has items of more than one kind
    kinds = [_kind(want), _kind(got)]
    return [] if kinds[0] == kinds[1] else [f"{where}: {want!r}, here {got!r}"]


def _lists(where: str, want: list[Any], got: list[Any], *, cut: bool) -> list[str]:
    groups = [_by_type(items) for items in (want, got)]
    if not set(groups[0]) <= set(groups[1]) or (not cut and set(groups[0]) != set(groups[1])):
        return [f"{where}: items of {sorted(groups[0])}, here {sorted(groups[1])}"]
    return [text for kind in groups[0] for text in shapes(f"{where}[{kind}]", groups[0][kind], groups[1][kind])]


def _by_type(items: list[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict):
            merged["item"] = item
            continue
        kind = "item" if "upid" in item else str(item.get("type", "item"))
        known = merged.setdefault(kind, {})
        for key, value in item.items():
            unlike = key in known and _kind(known[key]) != _kind(value)
            known[key] = ... if unlike else value
    return merged


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def compare_logs(name: str, got: dict[str, Any]) -> list[str]:
    """Compare log lines, except text that differs in every run."""
    recorded = RECORDED[name + "__task_log"]["response"]["body_json"]
    want = [item["t"] for item in recorded["data"] if isinstance(item, dict)]
    lines = [item["t"] for item in got["data"]]
    pairs = list(zip(map(_settled, want), map(_settled, lines), strict=False))
    found = [f"{w!r}, here {g!r}" for w, g in pairs if w != g]
    whole = len(want) == recorded["total"]
    return found + ([f"{len(want)} lines, here {lines}"] if whole and len(lines) != len(want) else [])


def _settled(line: str) -> str:
    return VARYING.sub("~", line).replace("<uuid>", "~")


def assert_as_recorded(found: Lab) -> None:
    """Assert that nothing differs, except properties of the recording's lab."""
    left = [text for text in found.differences if not any(artefact in text for artefact in ARTEFACTS)]
    assert not left, "\n".join(left)


def guest_of(it: Lab, vmid: int) -> Any:
    """The container in the state of the sandbox."""
    return it.node.api.cts.get(vmid)
