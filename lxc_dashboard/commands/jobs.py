"""``lxc-dashboard jobs``: lists the jobs of a dashboard through its HTTP API, and filters them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxc_dashboard import routes
from lxc_dashboard.commands.api_client import ApiOptions, Ending, read
from lxc_dashboard.commands.terminal import columns, out


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(ApiOptions):
    """Empty, and 0 for ``vmid``: any."""

    kind: str = ""
    vmid: int = 0
    user: str = ""
    state: str = ""
    limit: int = 100


def run(wanted: Wanted) -> int:
    """The status that the command ends with. Raises ``InvalidInputError`` for what is wrong before anything is asked."""
    filters = {"kind": wanted.kind, "vmid": wanted.vmid, "user": wanted.user, "state": wanted.state}
    query = {name: value for name, value in filters.items() if value} | {"limit": wanted.limit}
    found = read(wanted, routes.API_JOBS, query)
    if found is None:
        return Ending.REFUSED
    if wanted.as_json:
        out.print_json(json.dumps(found["jobs"]))
    else:
        columns([("id", "kind", "ct", "name", "node", "user", "state", "created"), *map(_row, found["jobs"])])
    return Ending.DONE


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    named = (job["id"], job["kind"], str(job["vmid"]), job["name"], job["node"], job["userid"])
    return (*named, job["state"], job["created_at"][:19])
