"""Proofs of webhooks, for any request."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.services.templates.sources.webhooks import GITLAB_TOKEN, SIGNATURES, is_signed

SECRET = "a secret of some length"
HEADERS = st.dictionaries(st.sampled_from([*SIGNATURES, GITLAB_TOKEN, "x-other"]), st.text(max_size=80))


@given(HEADERS, st.binary(max_size=200))
def test_nothing_that_does_not_know_the_secret_is_a_proof(headers: dict[str, str], body: bytes) -> None:
    assert not is_signed(SECRET, headers, body)


@given(st.binary(max_size=200), st.sampled_from(sorted(SIGNATURES)), st.binary(min_size=1, max_size=5))
def test_a_signature_is_for_its_body_only(body: bytes, name: str, more: bytes) -> None:
    signature = SIGNATURES[name] + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert is_signed(SECRET, {name: signature}, body)
    assert not is_signed(SECRET, {name: signature}, body + more)
