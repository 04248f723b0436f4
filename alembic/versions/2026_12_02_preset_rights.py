"""The privilege with which a preset is shared.

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Earlier versions did not check whether owners may share. So no preset stays shared; owners can share again.
UP = """
ALTER TABLE preset
    ADD COLUMN shared_path VARCHAR(255) NOT NULL DEFAULT '',
    DROP COLUMN shared;
ALTER TABLE preset ALTER shared_path DROP DEFAULT;
"""

DOWN = """
ALTER TABLE preset ADD COLUMN shared BOOLEAN;
UPDATE preset SET shared = shared_path <> '';
ALTER TABLE preset
    ALTER shared SET NOT NULL,
    DROP COLUMN shared_path;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
