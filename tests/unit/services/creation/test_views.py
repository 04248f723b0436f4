"""Jobs as pages show them, including jobs stored by another version of the dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from lxc_dashboard.db.models import CREATE_KIND, Container, Job, new_id
from lxc_dashboard.errors import ConflictError
from lxc_dashboard.services.creation import replacement
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.views import creation_view

SPEC = ContainerSpec("pve1", "local:vztmpl/debian.tar.zst", "web-01", "local-lvm").to_json()


def job_of(spec: dict[str, Any]) -> tuple[Job, Container]:
    container = Container(endpoint_id=new_id(), vmid=101, node="pve1", hostname="web-01")
    job = Job.about(container, CREATE_KIND, step="creating", userid="root@pam", params=spec)
    return job, container


def test_a_jobs_spec_is_what_was_asked_for() -> None:
    view = creation_view(*job_of(SPEC), "web r1", own=True)
    assert view.spec == ContainerSpec.from_json(SPEC)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="nothing"),
        pytest.param(SPEC | {"password_mode": "by pigeon"}, id="a word of a newer version"),
        pytest.param(SPEC | {"ipv4": "dhcp"}, id="another shape"),
        pytest.param(SPEC | {"ipv4": {}}, id="a part left out"),
    ],
)
def test_a_spec_that_cannot_be_read_hides_no_job(spec: dict[str, Any]) -> None:
    view = creation_view(*job_of(spec), "web r1", own=True)
    assert (view.vmid, view.hostname, view.spec) == (101, "web-01", None)
    with pytest.raises(ConflictError, match="no longer known"):
        replacement._spec_of(view)
