"""``lxc-dashboard secrets``: the key that encrypts what is stored."""

from __future__ import annotations

import secrets

from lxc_dashboard.commands.terminal import err, out, run
from lxc_dashboard.crypto import KEY_HEX_CHARS
from lxc_dashboard.db.rotation import RotationReport, rotate_secrets
from lxc_dashboard.errors import CryptoError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings


def generate() -> None:
    """Print a new key, alone on stdout."""
    out.print(secrets.token_hex(KEY_HEX_CHARS // 2))
    err.print("Keep it as ENCRYPTION_KEY. The one before goes to OLD_ENCRYPTION_KEYS until `secrets rotate` has run.")


def rotate() -> None:
    """``CryptoError`` when some secrets cannot be read: they are left as they are, all others are moved."""
    report = run(_rotate(Settings.load()))
    out.print(f"Stored secrets moved to the current key: {report.rotated}")
    if report.unreadable:
        for line in report.unreadable:
            err.print(f"  {line}", markup=False)
        raise CryptoError(
            f"Their key is missing or they were altered. Secrets that cannot be read: {len(report.unreadable)}"
        )
    out.print("OLD_ENCRYPTION_KEYS is needed no longer")


async def _rotate(settings: Settings) -> RotationReport:
    async with Runtime.open(settings) as runtime:
        return await rotate_secrets(runtime.db, runtime.keyring)
