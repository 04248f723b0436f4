"""The limits on sign-in are the ones that ``docs/security.md`` states."""

from __future__ import annotations

from pathlib import Path

from lxc_dashboard.services.auth import limits

DAY_S = 24 * 3600
SECURITY = Path(__file__).parents[4] / "docs" / "security.md"


def guesses_from_one_address() -> int:
    return limits.TRIES_PER_ACCOUNT_AND_ADDRESS * DAY_S // limits.TRIES_WINDOW_S


def guesses_from_unknown_addresses() -> int:
    return limits.ACCOUNT_TRIES_AT_ONCE + int(DAY_S / limits.ACCOUNT_TRY_EVERY_S)


def test_the_docs_state_how_often_an_account_may_be_tried() -> None:
    window = f"in {limits.TRIES_WINDOW_S // 60} min, then 429 for that address |"
    pace = f"{limits.ACCOUNT_TRIES_AT_ONCE} at once, then one each {limits.ACCOUNT_TRY_EVERY_S:.0f} s |"
    stated = SECURITY.read_text(encoding="utf-8")
    assert f"| {limits.TRIES_PER_ACCOUNT_AND_ADDRESS} {window} {guesses_from_one_address():,} |" in stated
    assert f"| {limits.TRIES_PER_ADDRESS} {window}" in stated
    assert f"| {pace} {guesses_from_unknown_addresses():,} |" in stated
    assert f"within {limits.KNOWN_FOR_S / DAY_S:.0f} days has only its own limits" in stated
