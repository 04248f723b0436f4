"""Why a creation, or a request about one, fails."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class FailureCode(MessageCode):
    """By subject: the way into the guest."""

    NO_WAY = "way_in.none"
    NO_WAY_DOOR_FAILED = "way_in.none.door_failed"
    NO_WAY_NO_ADDRESS = "way_in.none.no_address"
    NO_WAY_NO_SSH_SERVER = "way_in.none.no_ssh_server"
    NO_WAY_NO_ROUTE = "way_in.none.no_route"
    NO_WAY_NO_KEY = "way_in.none.no_key"
    NOT_ENTERED = "way_in.not_entered"
