"""``lxc-dashboard act``: has a dashboard's HTTP API start, shut down, stop or restart a container, and follows the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxc_dashboard import routes
from lxc_dashboard.commands.api_client import ApiOptions, Order, carry_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(ApiOptions):
    act: str
    vmid: int


def run(wanted: Wanted) -> int:
    """The status that the command ends with. Raises ``InvalidInputError`` for what is wrong before anything is asked."""
    return carry_out(wanted, Order(routes.api_act(wanted.vmid, wanted.act), None, routes.api_job, "name", _done))


def _done(job: Mapping[str, Any]) -> str:
    """Without the job's own words where it could not be read again."""
    return job["message"] or f"CT {job['vmid']} {job['name']}: done"
