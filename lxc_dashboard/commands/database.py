"""``lxc-dashboard migrate`` and ``secrets``: the database's revision, and the key of its secrets."""

from __future__ import annotations

import secrets

from lxc_dashboard import text
from lxc_dashboard.commands.terminal import err, out, run
from lxc_dashboard.crypto import KEY_HEX_CHARS
from lxc_dashboard.db import migrate as migrations
from lxc_dashboard.db.rotation import RotationReport, rotate_secrets
from lxc_dashboard.errors import CryptoError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings


def migrate(revision: str, *, down: bool) -> None:
    """Migrate the database to ``revision`` and print its revision. Raises as ``db.migrate``."""
    url = Settings.load().DATABASE_URL.get_secret_value()
    before = migrations.current(url)
    if down:
        migrations.downgrade(url, revision)
    else:
        migrations.upgrade(url, revision)
    after = migrations.current(url)
    out.print(f"Database at {after or 'base'}" + (", unchanged" if after == before else f", was {before or 'base'}"))


def generate_key() -> None:
    """Print a new key to stdout."""
    out.print(secrets.token_hex(KEY_HEX_CHARS // 2))
    err.print("Set it as ENCRYPTION_KEY. Move the previous key to OLD_ENCRYPTION_KEYS and run `secrets rotate`.")


def rotate_key() -> None:
    """Encrypt all stored secrets with the current key. Raises ``CryptoError`` if some cannot be read; keeps them."""
    report = run(_rotate(Settings.load()))
    out.print(f"Secrets encrypted with the current key: {report.rotated}")
    if report.unreadable:
        for secret in report.unreadable:
            err.print(f"  {text.in_words_of(secret)}", markup=False)
        raise CryptoError(
            f"Unreadable secrets: {len(report.unreadable)}. Their key is missing, or they were changed outside the product"
        )
    out.print("OLD_ENCRYPTION_KEYS is no longer needed")


async def _rotate(settings: Settings) -> RotationReport:
    async with Runtime.open(settings) as runtime:
        return await rotate_secrets(runtime.db, runtime.keyring)
