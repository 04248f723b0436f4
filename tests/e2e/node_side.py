"""The actual state of a container: its configuration from PVE's API, and its guest through the node's ``pct``."""

from __future__ import annotations

import base64
import io
import secrets
import shlex
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import paramiko

from lxc_dashboard.errors import DashboardError
from tests.e2e.stack import Stack

ANSWER_S = 60
POLL_S = 0.1


class NotDoneError(DashboardError):
    """A command in the guest failed."""


@dataclass
class NodeSide:
    """``config`` and ``guests`` ask the API as root@pam; ``run`` enters a guest through the node's ``pct``."""

    stack: Stack
    _ticket: str = field(default="", repr=False)
    _csrf_token: str = field(default="", repr=False)

    def run(self, vmid: int, script: str) -> str:
        """Run ``script`` in the guest and return its output."""
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(self.stack.sandbox["ssh_client_key"]))
        host = paramiko.PKey.from_type_string(*self._host_key())
        with paramiko.SSHClient() as ssh_client:
            port = self.stack.sandbox["ssh_port"]
            ssh_client.get_host_keys().add(f"[127.0.0.1]:{port}", host.get_name(), host)
            ssh_client.connect(
                "127.0.0.1", port, "root", pkey=key, allow_agent=False, look_for_keys=False, timeout=ANSWER_S
            )
            command = f"pct exec {vmid} -- sh -c {shlex.quote(script)}"
            _, out, err = ssh_client.exec_command(command, timeout=ANSWER_S)
            said, wrong = out.read(), err.read()
            if out.channel.recv_exit_status():
                raise NotDoneError(f"{script}: {said!r} {wrong!r}")
        return said.decode("utf-8", "replace")

    def _host_key(self) -> tuple[str, bytes]:
        kind, data = str(self.stack.sandbox["ssh_host_key"]).split()[:2]
        return kind, base64.b64decode(data)

    def config(self, node: str, vmid: int) -> dict[str, Any]:
        return dict(self.get(f"/nodes/{node}/lxc/{vmid}/config"))

    def guests(self, hostname: str) -> list[dict[str, Any]]:
        """All containers with that name, read from each node: the cluster's list is some seconds old."""
        found = [
            {**guest, "node": node} for node in self.stack.sandbox["nodes"] for guest in self.get(f"/nodes/{node}/lxc")
        ]
        return [guest for guest in found if guest.get("name") == hostname]

    def new_token(self, userid: str = "root@pam", *, privsep: int = 0) -> str:
        """A new API token, ``user@realm!name=secret``."""
        made = self.ask("POST", f"/access/users/{userid}/token/t{secrets.token_hex(4)}", {"privsep": privsep})
        return f"{made['full-tokenid']}={made['value']}"

    def revoke(self, token: str) -> None:
        userid, _, rest = token.partition("!")
        self.ask("DELETE", f"/access/users/{userid}/token/{rest.partition('=')[0]}")

    def act(self, node: str, vmid: int, verb: str) -> None:
        """``start`` or ``stop`` a guest and wait for the end of the task."""
        task = self.ask("POST", f"/nodes/{node}/lxc/{vmid}/status/{verb}")
        deadline = time.monotonic() + ANSWER_S
        while self.get(f"/nodes/{node}/tasks/{task}/status")["status"] == "running":
            if time.monotonic() > deadline:
                raise NotDoneError(f"{verb} of {vmid} does not end")
            time.sleep(POLL_S)

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> Any:
        with httpx.Client(verify=self._trust(), trust_env=False, timeout=ANSWER_S) as client:
            base = f"{self.stack.sandbox['url']}/api2/json"
            if not self._ticket:
                known = {"username": "root@pam", "password": self.stack.users["root@pam"]}
                found = client.post(f"{base}/access/ticket", data=known).raise_for_status().json()["data"]
                self._ticket, self._csrf_token = found["ticket"], found["CSRFPreventionToken"]
            headers = {"Cookie": f"PVEAuthCookie={self._ticket}", "CSRFPreventionToken": self._csrf_token}
            answer = client.request(method, f"{base}{path}", headers=headers, data=form)
        return answer.raise_for_status().json()["data"]

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.stack.sandbox["ca_file"])
