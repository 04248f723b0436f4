from __future__ import annotations

import logging

import pytest
from reflex.event import Event

from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import BusyGuestError, ConflictError, InvalidInputError, SessionExpiredError
from lxc_dashboard.state.problems import Discreet, message_of, quiet_reflex, show_problem

SECRET = "hunter2-cookie"


def sent_by(exception: Exception) -> Event:
    (event,) = Event.from_event_type(show_problem(exception))
    return event


def test_a_known_error_is_shown_with_a_reference() -> None:
    event = sent_by(ConflictError("CT 101 is locked"))
    assert event.name.endswith("notice_state.show")
    assert event.payload["message"] == "CT 101 is locked"
    assert event.payload["tone"] == "bad"
    assert len(event.payload["reference"]) == 8


def test_the_refusal_of_a_second_act_links_to_the_first_job() -> None:
    first = new_id()
    refused = sent_by(BusyGuestError("CT 101 web", "container.stop", "root@pam", first)).payload
    assert (refused["tone"], refused["job"]) == ("bad", str(first))
    assert sent_by(ConflictError("CT 101 is locked")).payload["job"] == ""


def test_an_unexpected_error_is_shown_without_its_message() -> None:
    event = sent_by(RuntimeError(SECRET))
    assert SECRET not in str(event.payload)
    assert event.payload["reference"]


def test_a_session_that_pve_refuses_is_verified() -> None:
    assert sent_by(SessionExpiredError()).name.endswith("session_state.verify")


def test_field_errors_are_named() -> None:
    assert message_of(InvalidInputError({"vmid": "is taken"})) == "Some fields are invalid: vmid is taken"


@pytest.mark.parametrize(
    "message",
    [
        "Error processing event queue entry for Event(name='x', router_data={'headers': {'cookie': 'S'}}) [txid=1]:",
        "Received event from session a with no associated token. This may indicate a bug. Event data: {'cookie': 'S'}",
        "Failed to deserialize event data: {'password': 'S'}.",
        "Event data must be a dictionary, but received S of type str.",
        "Error transforming event payload for handler f: Error transforming event argument 'p' with value 'S' and",
    ],
)
def test_log_records_of_reflex_do_not_quote_a_browser(message: str, caplog: pytest.LogCaptureFixture) -> None:
    quiet_reflex()
    quiet_reflex()
    logger = logging.getLogger("reflex.app")
    assert sum(isinstance(found, Discreet) for found in logger.filters) == 1
    with caplog.at_level(logging.WARNING):
        logger.warning("%s", message.replace("S", SECRET))
    assert SECRET not in caplog.text
    assert "(left out)" in caplog.text


def test_other_messages_of_reflex_stay(caplog: pytest.LogCaptureFixture) -> None:
    quiet_reflex()
    with caplog.at_level(logging.WARNING):
        logging.getLogger("reflex.app").warning("Frontend version %s does not match", "1")
    assert "Frontend version 1 does not match" in caplog.text
