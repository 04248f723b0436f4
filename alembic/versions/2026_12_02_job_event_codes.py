"""Events of jobs hold a code with parameters instead of a sentence.

Older rows keep their sentence and have no code. Three sentences become codes, because the duration of a step is computed
from them: a job waits for a sign-in, for its slot, or is paused.

The downgrade writes the sentences of these three, and the cause of a failed job. All other events, ends of acts and of
cancelled jobs, and titles of planned steps become their code with parameters as text.

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = r"""
ALTER TABLE job_event
    ADD COLUMN code VARCHAR(63) NOT NULL DEFAULT '',
    ADD COLUMN params JSONB NOT NULL DEFAULT '{}';
ALTER TABLE job_event ALTER code DROP DEFAULT, ALTER params DROP DEFAULT;
UPDATE job_event SET code = 'job.sign_in_ended', message = ''
WHERE type = 'warning' AND message = 'The sign-in of this job''s user has ended: it goes on after the next one';
UPDATE job_event SET code = 'job.paused', message = '', params = jsonb_build_object(
    'vmid', substring(message FROM '^CT (\d+) ')::int
) WHERE type = 'step' AND message ~ '^CT \d+ is made and not started: paused until its user lets it go on$';
UPDATE job_event SET code = 'job.slot_awaited', message = '', params = jsonb_build_object(
    'count', substring(message FROM '^Waits for (\d+) ')::int,
    'node', substring(message FROM ' on (.+) before its turn comes$')
) WHERE type = 'step' AND message ~ '^Waits for \d+ others? on .+ before its turn comes$';
"""

DOWN = """
UPDATE job_event SET message = {event} WHERE code <> '';
ALTER TABLE job_event DROP COLUMN code, DROP COLUMN params;
UPDATE job SET error = error - 'code' - 'params' || jsonb_build_object('message', {error}) WHERE error ? 'code';
UPDATE job SET result = jsonb_build_object('message', {result}) WHERE result ? 'code';
UPDATE job SET checkpoint = jsonb_set(checkpoint, '{{facts,plan}}', (
    SELECT coalesce(jsonb_agg(
        CASE WHEN planned ? 'code' THEN planned - 'code' - 'params' || jsonb_build_object('title', {planned}) ELSE planned END
        ORDER BY place
    ), '[]')
    FROM jsonb_array_elements(checkpoint #> '{{facts,plan}}') WITH ORDINALITY AS step (planned, place)
)) WHERE jsonb_typeof(checkpoint #> '{{facts,plan}}') = 'array';
UPDATE container_event SET detail = '{{}}', message = {detail} WHERE detail ? 'code';
"""


# For two SQL expressions
SENTENCE = """CASE {code}
    WHEN 'job.sign_in_ended' THEN 'The sign-in of this job''s user has ended: it goes on after the next one'
    WHEN 'job.paused' THEN
        'CT ' || ({params} ->> 'vmid') || ' is made and not started: paused until its user lets it go on'
    WHEN 'job.slot_awaited' THEN 'Waits for ' || ({params} ->> 'count')
        || CASE {params} ->> 'count' WHEN '1' THEN ' other on ' ELSE ' others on ' END
        || ({params} ->> 'node') || ' before its turn comes'
    WHEN 'job.failed' THEN {params} ->> 'reason'
    ELSE {code} || coalesce(
        (SELECT string_agg(' ' || key || '=' || value, '' ORDER BY key) FROM jsonb_each_text({params})), ''
    )
END"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(UP)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    stored = {
        name: SENTENCE.format(code=f"({name} ->> 'code')", params=f"({name} -> 'params')")
        for name in ("error", "result", "planned", "detail")
    }
    op.execute(DOWN.format(event=SENTENCE.format(code="code", params="params"), **stored))
