"""What every error of the product carries."""

from __future__ import annotations

from lxc_dashboard.errors import ErrorCode, InvalidInputError
from lxc_dashboard.messages import Message


def test_an_invalid_field_keeps_its_code_and_shows_its_words() -> None:
    reason = Message.of(ErrorCode.SESSION_EXPIRED)
    error = InvalidInputError({"name": reason, "cores": "must be positive"})
    assert error.reasons == {"name": reason, "cores": Message(text="must be positive")}
    assert error.fields == {"name": "The session has ended. Sign in again", "cores": "must be positive"}
    assert error.detail == "name: The session has ended. Sign in again; cores: must be positive"
