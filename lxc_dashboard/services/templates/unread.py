"""What the row of a source says of a pass that came to nothing by a fault of ours, or by one that nobody expected: what, and what to do."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.errors import ConflictError, CryptoError, DashboardError, ServiceUnavailableError

UNEXPECTED: Final = "It could not be read: an error that nobody expected, which the log of the dashboard tells"
SECRETS_UNREADABLE: Final = (
    "{why}. Configure the key that they were encrypted with again, or give this source its password or key anew"
)
ANYTHING_ELSE: Final = "{why}. The log of the dashboard tells more"


class OvertakenPassError(ConflictError):
    """What was read is not what is meant by now, or another pass came between: there is still one to be made."""

    default_message = "The templates were read by another process at the same time"


# Of these a wish stays: what stands in the way passes by itself.
STILL_WANTED: Final = (OvertakenPassError, ServiceUnavailableError)


def told(error: Exception) -> str:
    """Nothing of it that only the log may know."""
    if isinstance(error, CryptoError):
        return SECRETS_UNREADABLE.format(why=error.user_message)
    if isinstance(error, DashboardError):
        return ANYTHING_ELSE.format(why=error.user_message)
    return UNEXPECTED
