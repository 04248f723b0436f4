"""Shared buckets, drafts of templates, and columns for git sources.

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE template_source
    ADD COLUMN webhook_secret_enc TEXT,
    ADD COLUMN host_key TEXT NOT NULL DEFAULT '',
    ADD COLUMN every_s INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_template_source_every_range CHECK (every_s = 0 OR every_s BETWEEN 60 AND 604800),
    ADD COLUMN tried_at TIMESTAMPTZ,
    ADD COLUMN error TEXT NOT NULL DEFAULT '',
    ADD COLUMN created_by VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE template_source
    ALTER COLUMN host_key DROP DEFAULT, ALTER COLUMN every_s DROP DEFAULT,
    ALTER COLUMN error DROP DEFAULT, ALTER COLUMN created_by DROP DEFAULT;
ALTER TABLE package_bucket
    ADD COLUMN shared_id UUID
        CONSTRAINT fk_package_bucket_shared_id_package_bucket REFERENCES package_bucket (id) ON DELETE SET NULL,
    ADD COLUMN listing TEXT NOT NULL DEFAULT '',
    ADD COLUMN created_by VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN updated_by VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT now();
ALTER TABLE package_bucket
    ALTER COLUMN listing DROP DEFAULT, ALTER COLUMN created_by DROP DEFAULT,
    ALTER COLUMN updated_by DROP DEFAULT, ALTER COLUMN updated_at DROP DEFAULT;
CREATE INDEX ix_package_bucket_shared_id ON package_bucket (shared_id);
CREATE TABLE template_draft (
    id UUID NOT NULL CONSTRAINT pk_template_draft PRIMARY KEY,
    template_id UUID CONSTRAINT fk_template_draft_template_id_template REFERENCES template (id) ON DELETE CASCADE,
    endpoint_id UUID NOT NULL
        CONSTRAINT fk_template_draft_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE CASCADE,
    userid VARCHAR(255) NOT NULL,
    copy_of UUID,
    base_number INTEGER NOT NULL,
    base_name VARCHAR(63) NOT NULL,
    content JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT uq_template_draft_endpoint_id_userid_template_id UNIQUE (endpoint_id, userid, template_id)
);
CREATE INDEX ix_template_draft_endpoint_id ON template_draft (endpoint_id);
CREATE INDEX ix_template_draft_template_id ON template_draft (template_id);
CREATE TABLE template_draft_file (
    draft_id UUID NOT NULL
        CONSTRAINT fk_template_draft_file_draft_id_template_draft REFERENCES template_draft (id) ON DELETE CASCADE,
    sha256 VARCHAR(64) NOT NULL,
    content BYTEA NOT NULL,
    CONSTRAINT pk_template_draft_file PRIMARY KEY (draft_id, sha256)
);
"""

DOWN = """
DROP TABLE template_draft_file, template_draft;
ALTER TABLE package_bucket
    DROP COLUMN shared_id, DROP COLUMN listing, DROP COLUMN created_by, DROP COLUMN updated_by, DROP COLUMN updated_at;
ALTER TABLE template_source
    DROP COLUMN webhook_secret_enc, DROP COLUMN host_key, DROP COLUMN every_s,
    DROP COLUMN tried_at, DROP COLUMN error, DROP COLUMN created_by;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
