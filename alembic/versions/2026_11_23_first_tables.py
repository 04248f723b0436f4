"""Endpoints, templates, containers, creations, presets, and the append-only audit.

Revision: 0001
Revises: nothing
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NODES = """
CREATE TABLE proxmox_node (
    id UUID NOT NULL CONSTRAINT pk_proxmox_node PRIMARY KEY,
    name VARCHAR(63) NOT NULL CONSTRAINT uq_proxmox_node_name UNIQUE,
    host VARCHAR(255) NOT NULL,
    port INTEGER NOT NULL CONSTRAINT ck_proxmox_node_port_range CHECK (port BETWEEN 1 AND 65535),
    fingerprint VARCHAR(95),
    ca_pem TEXT,
    verify_tls BOOLEAN NOT NULL,
    tokenid VARCHAR(255),
    token_secret_enc TEXT,
    ssh_user VARCHAR(63) NOT NULL,
    ssh_key_enc TEXT,
    doors JSONB NOT NULL,
    owner VARCHAR(255) NOT NULL,
    is_default BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT ck_proxmox_node_token_whole CHECK ((tokenid IS NULL) = (token_secret_enc IS NULL))
);
CREATE UNIQUE INDEX uq_proxmox_node_default ON proxmox_node (is_default) WHERE is_default;
CREATE UNIQUE INDEX uq_proxmox_node_address ON proxmox_node (host, port);
CREATE TABLE audit_entry (
    id UUID NOT NULL CONSTRAINT pk_audit_entry PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    userid VARCHAR(255) NOT NULL,
    endpoint_name VARCHAR(63) NOT NULL,
    action VARCHAR(63) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    address VARCHAR(64) NOT NULL,
    result VARCHAR(16) NOT NULL CONSTRAINT ck_audit_entry_result_known CHECK (result IN ('ok', 'refused', 'failed')),
    detail JSONB NOT NULL
);
CREATE INDEX ix_audit_entry_at ON audit_entry (at);
CREATE INDEX ix_audit_entry_userid_at ON audit_entry (userid, at);
"""

TEMPLATES = """
CREATE TABLE template_source (
    id UUID NOT NULL CONSTRAINT pk_template_source PRIMARY KEY,
    name VARCHAR(63) NOT NULL CONSTRAINT uq_template_source_name UNIQUE,
    kind VARCHAR(16) NOT NULL
        CONSTRAINT ck_template_source_kind_known CHECK (kind IN ('folder', 'git', 'custom', 'imported')),
    location TEXT NOT NULL,
    ref VARCHAR(255) NOT NULL,
    subfolder VARCHAR(255) NOT NULL,
    secret_enc TEXT,
    synced_at TIMESTAMPTZ,
    report JSONB NOT NULL,
    fingerprints JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE template (
    id UUID NOT NULL CONSTRAINT pk_template PRIMARY KEY,
    source_id UUID NOT NULL
        CONSTRAINT fk_template_source_id_template_source REFERENCES template_source (id) ON DELETE CASCADE,
    name VARCHAR(63) NOT NULL,
    description TEXT NOT NULL,
    tags JSONB NOT NULL,
    revision_number INTEGER NOT NULL CONSTRAINT ck_template_revision_positive CHECK (revision_number >= 1),
    missing_since TIMESTAMPTZ,
    created_by VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT uq_template_source_id_name UNIQUE (source_id, name)
);
CREATE INDEX ix_template_source_id ON template (source_id);
CREATE TABLE template_revision (
    id UUID NOT NULL CONSTRAINT pk_template_revision PRIMARY KEY,
    template_id UUID NOT NULL
        CONSTRAINT fk_template_revision_template_id_template REFERENCES template (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CONSTRAINT ck_template_revision_number_positive CHECK (number >= 1),
    config JSONB NOT NULL,
    warnings JSONB NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    author VARCHAR(255) NOT NULL,
    note TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT uq_template_revision_template_id_number UNIQUE (template_id, number)
);
CREATE INDEX ix_template_revision_template_id ON template_revision (template_id);
CREATE TABLE template_script (
    id UUID NOT NULL CONSTRAINT pk_template_script PRIMARY KEY,
    revision_id UUID NOT NULL
        CONSTRAINT fk_template_script_revision_id_template_revision REFERENCES template_revision (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    content TEXT NOT NULL,
    timeout_s INTEGER NOT NULL CONSTRAINT ck_template_script_timeout_range CHECK (timeout_s BETWEEN 1 AND 86400),
    enabled BOOLEAN NOT NULL,
    optional BOOLEAN NOT NULL,
    CONSTRAINT uq_template_script_revision_id_name UNIQUE (revision_id, name),
    CONSTRAINT uq_template_script_revision_id_position UNIQUE (revision_id, position)
);
CREATE INDEX ix_template_script_revision_id ON template_script (revision_id);
CREATE TABLE template_file (
    id UUID NOT NULL CONSTRAINT pk_template_file PRIMARY KEY,
    revision_id UUID NOT NULL
        CONSTRAINT fk_template_file_revision_id_template_revision REFERENCES template_revision (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    target_dir TEXT NOT NULL,
    policy VARCHAR(16) NOT NULL
        CONSTRAINT ck_template_file_policy_known CHECK (policy IN ('replace', 'default', 'backup')),
    mode INTEGER NOT NULL CONSTRAINT ck_template_file_mode_range CHECK (mode BETWEEN 0 AND 4095),
    owner VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    content BYTEA NOT NULL,
    CONSTRAINT uq_template_file_revision_id_name UNIQUE (revision_id, name)
);
CREATE INDEX ix_template_file_revision_id ON template_file (revision_id);
CREATE TABLE package_bucket (
    id UUID NOT NULL CONSTRAINT pk_package_bucket PRIMARY KEY,
    revision_id UUID
        CONSTRAINT fk_package_bucket_revision_id_template_revision REFERENCES template_revision (id) ON DELETE CASCADE,
    name VARCHAR(63) NOT NULL,
    manager VARCHAR(16) NOT NULL
        CONSTRAINT ck_package_bucket_manager_known CHECK (manager IN ('apt', 'apk', 'dnf', 'npm', 'pip', 'custom')),
    created_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX uq_package_bucket_name ON package_bucket (revision_id, name, manager) NULLS NOT DISTINCT;
CREATE INDEX ix_package_bucket_revision_id ON package_bucket (revision_id);
CREATE TABLE package (
    id UUID NOT NULL CONSTRAINT pk_package PRIMARY KEY,
    bucket_id UUID NOT NULL
        CONSTRAINT fk_package_bucket_id_package_bucket REFERENCES package_bucket (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    spec VARCHAR(255) NOT NULL,
    check_command TEXT NOT NULL,
    install_command TEXT NOT NULL,
    timeout_s INTEGER NOT NULL CONSTRAINT ck_package_timeout_range CHECK (timeout_s BETWEEN 1 AND 86400),
    CONSTRAINT uq_package_bucket_id_spec UNIQUE (bucket_id, spec),
    CONSTRAINT uq_package_bucket_id_position UNIQUE (bucket_id, position)
);
CREATE INDEX ix_package_bucket_id ON package (bucket_id);
"""

CONTAINERS = """
CREATE TABLE container (
    id UUID NOT NULL CONSTRAINT pk_container PRIMARY KEY,
    endpoint_id UUID NOT NULL
        CONSTRAINT fk_container_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE RESTRICT,
    vmid INTEGER NOT NULL CONSTRAINT ck_container_vmid_range CHECK (vmid BETWEEN 100 AND 999999999),
    node VARCHAR(63) NOT NULL,
    hostname VARCHAR(255) NOT NULL,
    lifecycle VARCHAR(16) NOT NULL
        CONSTRAINT ck_container_lifecycle_known CHECK (lifecycle IN ('creating', 'ready', 'error')),
    template_revision_id UUID
        CONSTRAINT fk_container_template_revision_id_template_revision REFERENCES template_revision (id) ON DELETE SET NULL,
    marker UUID NOT NULL CONSTRAINT uq_container_marker UNIQUE,
    address VARCHAR(64) NOT NULL,
    services JSONB NOT NULL,
    credentials_enc TEXT,
    root_password_enc TEXT,
    created_by VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ
);
CREATE INDEX ix_container_endpoint_id ON container (endpoint_id);
CREATE UNIQUE INDEX uq_container_endpoint_vmid_existing ON container (endpoint_id, vmid) WHERE deleted_at IS NULL;
CREATE INDEX ix_container_template_revision_id ON container (template_revision_id);
CREATE TABLE container_event (
    id UUID NOT NULL CONSTRAINT pk_container_event PRIMARY KEY,
    container_id UUID NOT NULL
        CONSTRAINT fk_container_event_container_id_container REFERENCES container (id) ON DELETE CASCADE,
    at TIMESTAMPTZ NOT NULL,
    userid VARCHAR(255) NOT NULL,
    kind VARCHAR(63) NOT NULL,
    message TEXT NOT NULL,
    detail JSONB NOT NULL
);
CREATE INDEX ix_container_event_container_id_at ON container_event (container_id, at);
"""

CREATIONS = """
CREATE TABLE creation (
    id UUID NOT NULL CONSTRAINT pk_creation PRIMARY KEY,
    endpoint_id UUID NOT NULL
        CONSTRAINT fk_creation_endpoint_id_proxmox_node REFERENCES proxmox_node (id) ON DELETE RESTRICT,
    container_id UUID NOT NULL
        CONSTRAINT fk_creation_container_id_container REFERENCES container (id) ON DELETE CASCADE,
    revision_id UUID
        CONSTRAINT fk_creation_revision_id_template_revision REFERENCES template_revision (id) ON DELETE RESTRICT,
    userid VARCHAR(255) NOT NULL,
    spec JSONB NOT NULL,
    secrets_enc TEXT,
    ticket_enc TEXT,
    signed_in_at TIMESTAMPTZ NOT NULL,
    session_id UUID,
    state VARCHAR(16) NOT NULL
        CONSTRAINT ck_creation_state_known CHECK (state IN ('queued', 'running', 'waiting', 'ready', 'failed', 'cancelled')),
    phase VARCHAR(16) NOT NULL
        CONSTRAINT ck_creation_phase_known CHECK (phase IN ('creating', 'starting', 'deploying', 'syncing', 'finalizing')),
    percent INTEGER NOT NULL CONSTRAINT ck_creation_percent_range CHECK (percent BETWEEN 0 AND 100),
    checkpoint JSONB NOT NULL,
    lease_owner VARCHAR(255),
    lease_until TIMESTAMPTZ,
    attempt INTEGER NOT NULL,
    enqueued_at TIMESTAMPTZ,
    cancel_requested_at TIMESTAMPTZ,
    cancelled_by VARCHAR(255) NOT NULL,
    error JSONB NOT NULL,
    result JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    CONSTRAINT ck_creation_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE INDEX ix_creation_session_id ON creation (session_id);
CREATE INDEX ix_creation_container_id ON creation (container_id);
CREATE INDEX ix_creation_endpoint_id_created_at ON creation (endpoint_id, created_at);
CREATE INDEX ix_creation_revision_id ON creation (revision_id);
CREATE INDEX ix_creation_state_lease_until ON creation (state, lease_until);
CREATE INDEX ix_creation_userid ON creation (userid);
CREATE TABLE creation_event (
    creation_id UUID NOT NULL
        CONSTRAINT fk_creation_event_creation_id_creation REFERENCES creation (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    lines INTEGER NOT NULL CONSTRAINT ck_creation_event_lines_positive CHECK (lines >= 1),
    type VARCHAR(16) NOT NULL
        CONSTRAINT ck_creation_event_type_known CHECK (type IN ('step', 'log', 'warning', 'error', 'complete')),
    phase VARCHAR(16) NOT NULL
        CONSTRAINT ck_creation_event_phase_known CHECK (phase IN ('creating', 'starting', 'deploying', 'syncing', 'finalizing')),
    percent INTEGER NOT NULL CONSTRAINT ck_creation_event_percent_range CHECK (percent BETWEEN 0 AND 100),
    message TEXT NOT NULL,
    script VARCHAR(255) NOT NULL,
    script_index INTEGER NOT NULL,
    script_total INTEGER NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    CONSTRAINT pk_creation_event PRIMARY KEY (creation_id, seq)
);
CREATE TABLE preset (
    id UUID NOT NULL CONSTRAINT pk_preset PRIMARY KEY,
    owner VARCHAR(255) NOT NULL,
    name VARCHAR(63) NOT NULL,
    shared BOOLEAN NOT NULL,
    fields JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT uq_preset_owner_name UNIQUE (owner, name)
);
"""

APPEND_ONLY = """
CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entry is append-only'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'audit_entry_append_only', TABLE = 'audit_entry';
END
$$;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse();
CREATE TRIGGER audit_entry_keep BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse();
"""

UNDO = """
DROP TABLE preset, creation_event, creation;
DROP TABLE container_event, container;
DROP TABLE package, package_bucket, template_file, template_script, template_revision, template, template_source;
DROP TABLE audit_entry, proxmox_node;
DROP FUNCTION audit_entry_refuse();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statements in (NODES, TEMPLATES, CONTAINERS, CREATIONS, APPEND_ONLY):
        op.execute(statements)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UNDO)
