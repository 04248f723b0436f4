"""Why a feed gets no answer from PVE, in words."""

from __future__ import annotations

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.codes import ProxmoxCode
from lxc_dashboard.state.process import feed_error


def test_the_error_of_a_feed_is_put_into_words_as_it_is_stored() -> None:
    stored = UnreachableError(Message.of(ProxmoxCode.NODE_SILENT, node="pve2")).reason.to_json()
    assert feed_error(stored) == "Node pve2 does not answer"
    assert feed_error({"message": "PVE: cluster not ready."}) == "PVE: cluster not ready"


def test_the_error_of_a_process_of_an_older_version_is_shown_as_it_is() -> None:
    assert feed_error("PVE cannot be reached.") == "PVE cannot be reached"
