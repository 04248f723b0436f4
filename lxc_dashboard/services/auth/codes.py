"""Why a caller is not let in."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class AuthCode(MessageCode):
    TOO_MANY_NEW_TOKENS = "auth.too_many_new_tokens"
    NO_SUCH_ENDPOINT = "auth.no_such_endpoint"
    NO_DEFAULT_ENDPOINT = "auth.no_default_endpoint"
