"""Why PVE opened no console, with what to do."""

from __future__ import annotations

import pytest

from lxc_dashboard.errors import ApiError
from lxc_dashboard.services.containers.console import refused
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.text import with_remedy


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("unable to find free port (5900-6000)", "all console ports of node pve2 are in use"),
        ("Timeout while waiting for port '5900' to get ready!", "its terminal was not ready on node pve2 in time"),
        ("connect to port 5900 failed: Connection refused", "its terminal was not ready on node pve2 in time"),
        ("no such thing", "PVE opened no console for CT 101 web: no such thing"),
    ],
)
def test_a_refusal_names_its_cause_what_to_do_and_what_pve_said(said: str, why: str) -> None:
    told = with_remedy(refused(Guest(101, "pve2", name="web"), ApiError(500, said)))
    assert why in told
    assert said in told
    assert "onnect again" in told or "Console task in PVE on node pve2" in told
