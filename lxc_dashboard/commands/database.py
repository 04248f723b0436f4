"""``lxc-dashboard migrate``."""

from __future__ import annotations

from lxc_dashboard.commands.terminal import out
from lxc_dashboard.db import migrate as migrations
from lxc_dashboard.settings import Settings


def migrate(revision: str, *, down: bool) -> None:
    """Take the database to ``revision`` and say where it stands. Raises as ``db.migrate``."""
    url = Settings.load().DATABASE_URL.get_secret_value()
    before = migrations.current(url)
    if down:
        migrations.downgrade(url, revision)
    else:
        migrations.upgrade(url, revision)
    after = migrations.current(url)
    out.print(f"Database at {after or 'base'}" + (", as before" if after == before else f", was {before or 'base'}"))
