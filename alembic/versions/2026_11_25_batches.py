"""Batches, paused creations and slots of nodes. Presets belong to an endpoint.

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Earlier versions stored no presets, so there is no endpoint to guess.
UP = """
CREATE TABLE creation_batch (
    id UUID NOT NULL CONSTRAINT pk_creation_batch PRIMARY KEY,
    endpoint_id UUID NOT NULL
        CONSTRAINT fk_creation_batch_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE RESTRICT,
    userid VARCHAR(255) NOT NULL,
    pattern VARCHAR(255) NOT NULL,
    spec JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_creation_batch_endpoint_id_created_at ON creation_batch (endpoint_id, created_at);
ALTER TABLE creation
    ADD COLUMN batch_id UUID
        CONSTRAINT fk_creation_batch_id_creation_batch REFERENCES creation_batch (id) ON DELETE SET NULL,
    ADD COLUMN slot_node VARCHAR(63),
    DROP CONSTRAINT ck_creation_state_known,
    ADD CONSTRAINT ck_creation_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'ready', 'failed', 'cancelled'));
CREATE INDEX ix_creation_batch_id ON creation (batch_id);
DELETE FROM preset;
ALTER TABLE preset
    DROP CONSTRAINT uq_preset_owner_name,
    ADD COLUMN endpoint_id UUID NOT NULL
        CONSTRAINT fk_preset_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE CASCADE,
    ADD CONSTRAINT uq_preset_endpoint_id_owner_name UNIQUE (endpoint_id, owner, name);
"""

# A paused creation becomes a waiting one. Presets are deleted: those of several endpoints could have one name.
DOWN = """
DELETE FROM preset;
ALTER TABLE preset
    DROP CONSTRAINT uq_preset_endpoint_id_owner_name,
    DROP COLUMN endpoint_id,
    ADD CONSTRAINT uq_preset_owner_name UNIQUE (owner, name);
UPDATE creation SET state = 'waiting' WHERE state = 'paused';
ALTER TABLE creation
    DROP CONSTRAINT ck_creation_state_known,
    ADD CONSTRAINT ck_creation_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'ready', 'failed', 'cancelled')),
    DROP COLUMN batch_id,
    DROP COLUMN slot_node;
DROP TABLE creation_batch;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
