"""What every error of the product carries."""

from __future__ import annotations

from lxc_dashboard.errors import ApiError, ErrorCode, InvalidInputError
from lxc_dashboard.messages import Message


def test_an_invalid_field_keeps_its_code_and_shows_its_words() -> None:
    reason = Message.of(ErrorCode.SESSION_EXPIRED)
    error = InvalidInputError({"name": reason, "cores": "must be positive"})
    assert error.reasons == {"name": reason, "cores": Message(text="must be positive")}
    assert error.fields == {"name": "The session has ended. Sign in again", "cores": "must be positive"}
    assert error.detail == "name: The session has ended. Sign in again; cores: must be positive"


def test_a_refusal_of_pve_keeps_its_words_apart_from_reasons_of_our_own() -> None:
    assert ApiError(500, "CT is locked").message == "CT is locked"
    own = ApiError(501, Message.of(ErrorCode.TASK_CANCELLED), path="/version")
    assert (own.message, own.reason.code) == ("", ErrorCode.TASK_CANCELLED.value)
