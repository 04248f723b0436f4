"""UPIDs: parsing, writing, and whose task one names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.proxmox import TokenAuth, Upid
from lxc_dashboard.proxmox.schemas import TaskInfo
from lxc_dashboard.proxmox.schemas.tasks import user_of
from tests.unit.proxmox.replay import RECORDED

WORD = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="-_."), min_size=1, max_size=20)
NUMBER = st.integers(0, 0xFFFFFFFF)


def test_a_task_is_of_the_user_who_began_it_by_ticket_or_token() -> None:
    users = ("ann@pve", "ann@pve!ci", "joann@pve", "ann@pve.test")
    assert [TaskInfo("x", user=user).is_of("ann@pve") for user in users] == [True, True, False, False]


@pytest.mark.parametrize("userid", ["a!b@pve", "ann@example.com@oidc", "root@pam!x@pve", "auth0|a=1;b,c@oidc"])
def test_a_users_name_may_hold_what_parts_it_from_a_tokens(userid: str) -> None:
    assert [user_of(authid) for authid in (userid, f"{userid}!ci")] == [userid, userid]
    assert TokenAuth(f"{userid}!ci", "s").userid == userid
    assert TaskInfo("x", user=f"{userid}!ci").is_of(userid)


@given(
    st.builds(
        Upid,
        node=WORD,
        pid=NUMBER,
        pstart=st.integers(0, 0xFFFFFFFFF),
        starttime=NUMBER,
        type=WORD,
        id=WORD | st.just("") | st.just("local:vztmpl/a"),
        user=WORD,
    )
)
def test_a_upid_reads_back_as_it_was_written(upid: Upid) -> None:
    assert Upid.parse(str(upid)) == upid
    assert Upid.parse(f" {str(upid).rstrip(':')}\n") == upid


def test_a_recorded_upid_says_what_the_status_says() -> None:
    fields = ("node", "pid", "pstart", "starttime", "type", "id", "user")
    statuses = [exchange.data for name, exchange in RECORDED.items() if name.endswith("__task_status")]
    upids = [Upid.parse(status["upid"]) for status in statuses]
    assert [str(upid) for upid in upids] == [status["upid"] for status in statuses]
    assert [[getattr(upid, field) for field in fields] for upid in upids] == [
        [status[field] for field in fields] for status in statuses
    ]


@given(st.text())
def test_what_is_no_upid_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Upid.parse(f"no {text}")


@pytest.mark.parametrize(
    "text", ["", "UPID:", "UPID:pve1:zz:00:00:vzstart:1:root@pam:", "OK", "UPID:pve1:1:2:3:a b:1:u:"]
)
def test_half_a_upid_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Upid.parse(text)
