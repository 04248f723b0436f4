from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.proxmox import Upid
from tests.unit.proxmox.replay import RECORDED

WORD = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="-_."), min_size=1, max_size=20)
NUMBER = st.integers(0, 0xFFFFFFFF)


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


@pytest.mark.parametrize("name", [name for name in RECORDED if name.endswith("__task_status")])
def test_a_recorded_upid_says_what_the_status_says(name: str) -> None:
    status = RECORDED[name].data
    upid = Upid.parse(status["upid"])
    assert str(upid) == status["upid"]
    assert (upid.node, upid.type, upid.id, upid.user) == (status["node"], status["type"], status["id"], status["user"])
    assert (upid.pid, upid.pstart, upid.starttime) == (status["pid"], status["pstart"], status["starttime"])


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
