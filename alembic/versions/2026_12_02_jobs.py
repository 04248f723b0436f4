"""One table of jobs replaces creations and their events.

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_RENAMED = (
    ("TABLE creation", "job"),
    ("TABLE creation_event", "job_event"),
    *((f"INDEX ix_creation_{name}", f"ix_job_{name}") for name in (
        "session_id", "container_id", "endpoint_id_created_at", "revision_id", "state_lease_until", "userid", "batch_id",
    )),
)  # fmt: skip
_CONSTRAINTS = (
    ("job", "pk_creation", "pk_job"),
    *(("job", f"fk_creation_{name}", f"fk_job_{name}") for name in (
        "endpoint_id_proxmox_node", "container_id_container", "revision_id_template_revision", "batch_id_creation_batch",
    )),
    *(("job", f"ck_creation_{name}", f"ck_job_{name}") for name in ("percent_range", "lease_whole")),
    ("job_event", "pk_creation_event", "pk_job_event"),
    ("job_event", "fk_creation_event_creation_id_creation", "fk_job_event_job_id_job"),
    *(("job_event", f"ck_creation_event_{name}", f"ck_job_event_{name}") for name in (
        "type_known", "lines_positive", "percent_range",
    )),
)  # fmt: skip

# A container that was deleted in PVE may leave two unfinished creations with one vmid. The later one locks the guest.
UP = """
ALTER TABLE job
    DROP CONSTRAINT ck_creation_state_known,
    DROP CONSTRAINT ck_creation_phase_known,
    ALTER container_id DROP NOT NULL,
    ALTER phase TYPE VARCHAR(63),
    ADD COLUMN kind VARCHAR(63) NOT NULL DEFAULT 'container.create',
    ADD COLUMN vmid INTEGER,
    ADD COLUMN node VARCHAR(63) NOT NULL DEFAULT '',
    ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN locks_guest BOOLEAN NOT NULL DEFAULT true;
ALTER TABLE job RENAME COLUMN phase TO step;
ALTER TABLE job RENAME COLUMN spec TO params;
ALTER TABLE job_event DROP CONSTRAINT ck_creation_event_phase_known, ALTER phase TYPE VARCHAR(63);
ALTER TABLE job_event RENAME COLUMN phase TO step;
ALTER TABLE job_event RENAME COLUMN creation_id TO job_id;
UPDATE job SET
    vmid = container.vmid,
    node = container.node,
    name = container.hostname,
    state = CASE job.state WHEN 'ready' THEN 'done' ELSE job.state END
FROM container WHERE container.id = job.container_id;
UPDATE job SET locks_guest = false FROM job AS later
WHERE later.endpoint_id = job.endpoint_id AND later.vmid = job.vmid AND later.id > job.id
    AND job.state IN ('queued', 'running', 'waiting', 'paused') AND later.state IN ('queued', 'running', 'waiting', 'paused');
ALTER TABLE job
    ALTER kind DROP DEFAULT,
    ALTER vmid SET NOT NULL,
    ALTER node DROP DEFAULT,
    ALTER name DROP DEFAULT,
    ALTER locks_guest DROP DEFAULT,
    ADD CONSTRAINT ck_job_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'done', 'failed', 'cancelled')),
    ADD CONSTRAINT ck_job_container_known CHECK (kind <> 'container.create' OR container_id IS NOT NULL);
CREATE UNIQUE INDEX uq_job_endpoint_id_vmid_locked ON job (endpoint_id, vmid) WHERE locks_guest AND state IN ('queued', 'running', 'waiting', 'paused');
"""

# The older tables cannot store jobs of other kinds.
DOWN = """
DELETE FROM job WHERE kind <> 'container.create';
DROP INDEX uq_job_endpoint_id_vmid_locked;
ALTER TABLE job DROP CONSTRAINT ck_job_state_known, DROP CONSTRAINT ck_job_container_known;
UPDATE job SET state = 'ready' WHERE state = 'done';
ALTER TABLE job RENAME COLUMN step TO phase;
ALTER TABLE job RENAME COLUMN params TO spec;
ALTER TABLE job
    DROP COLUMN kind, DROP COLUMN vmid, DROP COLUMN node, DROP COLUMN name, DROP COLUMN locks_guest,
    ALTER container_id SET NOT NULL,
    ALTER phase TYPE VARCHAR(16),
    ADD CONSTRAINT ck_creation_state_known
        CHECK (state IN ('queued', 'running', 'waiting', 'paused', 'ready', 'failed', 'cancelled')),
    ADD CONSTRAINT ck_creation_phase_known
        CHECK (phase IN ('creating', 'starting', 'deploying', 'syncing', 'finalizing'));
ALTER TABLE job_event RENAME COLUMN step TO phase;
ALTER TABLE job_event RENAME COLUMN job_id TO creation_id;
ALTER TABLE job_event
    ALTER phase TYPE VARCHAR(16),
    ADD CONSTRAINT ck_creation_event_phase_known
        CHECK (phase IN ('creating', 'starting', 'deploying', 'syncing', 'finalizing'));
"""


# PostgreSQL 18 names NOT NULL constraints after table and column.
NAMED_AS_NOW = """
DO $$
DECLARE it record;
BEGIN
    FOR it IN
        SELECT named.conrelid::regclass AS of_table, named.conname AS old, class.relname || '_' || attname || '_not_null' AS new
        FROM pg_constraint AS named
        JOIN pg_class AS class ON class.oid = named.conrelid
        JOIN pg_attribute ON attrelid = named.conrelid AND attnum = named.conkey[1]
        WHERE named.contype = 'n' AND class.relname IN ('job', 'job_event', 'creation', 'creation_event')
    LOOP
        IF it.old <> it.new THEN
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', it.of_table, it.old, it.new);
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for what, name in _RENAMED:
        op.execute(f"ALTER {what} RENAME TO {name}")
    for table, old, new in _CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")
    op.execute(UP)
    op.execute(NAMED_AS_NOW)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DOWN)
    for table, old, new in _CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {new} TO {old}")
    for what, name in _RENAMED:
        op.execute(f"ALTER {what.split()[0]} {name} RENAME TO {what.split()[1]}")
    op.execute(NAMED_AS_NOW)
