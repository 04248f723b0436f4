from __future__ import annotations

from html.parser import HTMLParser
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.api.sign_in_page import (
    DEFAULT_REALMS,
    FormValues,
    Messages,
    document,
    password_page,
    second_step_page,
    tag,
)
from lxc_dashboard.services.auth.endpoints import Choice
from lxc_dashboard.services.auth.sign_in import SecondStep

CHOICE = Choice(UUID(int=1), "pve1")


class Reader(HTMLParser):
    """Collects elements as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def inputs(self) -> dict[str, str | None]:
        return {str(found["name"]): found.get("value") for name, found in self.seen if name == "input"}


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@given(st.text(), st.text())
def test_text_and_attributes_never_become_elements(content: str, value: str) -> None:
    plain = read(tag("p", "x", title="x"))
    assert [name for name, _ in read(tag("p", content, title=value)).seen] == [name for name, _ in plain.seen]


def test_attributes_that_are_not_there_are_left_out() -> None:
    assert tag("input", class_="a", aria_label="b", required=True, autofocus=False, title=None) == (
        '<input class="a" aria-label="b" required>'
    )


def test_a_document_names_its_language_and_title() -> None:
    found = read(document(tag("p", "x"), title="T & U"))
    assert ("html", {"lang": "en"}) in found.seen
    assert "T & U" in found.words


def test_what_was_typed_stands_in_the_form_again_but_no_password() -> None:
    typed = FormValues(str(CHOICE.id), '<b>"root', "pve", "/jobs/1")
    found = read(password_page([CHOICE], DEFAULT_REALMS, typed, Messages("Sign-in failed")))
    assert found.inputs() == {"user": '<b>"root', "password": None, "next": "/jobs/1"}
    chosen = [attributes["value"] for name, attributes in found.seen if name == "option" and "selected" in attributes]
    assert chosen == [str(CHOICE.id), "pve"]
    assert "Sign-in failed" in found.words


def test_a_field_error_stands_beside_its_field_and_is_tied_to_it() -> None:
    found = read(
        password_page([CHOICE], DEFAULT_REALMS, FormValues(), Messages(fields={"user": "Enter the user name"}))
    )
    user = next(attributes for name, attributes in found.seen if attributes.get("id") == "user")
    assert user["aria-describedby"] == "user-error"
    assert user["aria-invalid"] == "true"
    assert "Enter the user name" in found.words


def test_without_an_endpoint_the_page_says_how_to_register_one() -> None:
    found = read(password_page([], DEFAULT_REALMS, FormValues(), Messages()))
    assert any("node add" in word for word in found.words)
    assert "password" not in found.inputs()


def test_the_second_step_offers_what_pve_asks_for() -> None:
    both = read(second_step_page(SecondStep("a@pve", ("totp", "recovery")), "/", Messages()))
    one = read(second_step_page(SecondStep("a@pve", ("totp",)), "/", Messages()))
    assert [attributes["value"] for name, attributes in both.seen if name == "option"] == ["totp", "recovery"]
    assert one.inputs() == {"kind": "totp", "code": None, "next": "/"}


def test_a_second_factor_that_only_pve_can_ask_is_said() -> None:
    found = read(second_step_page(SecondStep("a@pve", ()), "/", Messages()))
    assert any("on PVE's own page only" in word for word in found.words)
    assert "code" not in found.inputs()
