"""Builds the context of a creation from its rows, and the plan of its steps for the job's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.db.models import Job, Phase
from lxc_dashboard.guest.keys import KeyPair
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation import access, downloads, ownership
from lxc_dashboard.services.creation.access import Entrance, NoWay, Way, WayKind
from lxc_dashboard.services.creation.codes import CreationCode, FailureCode
from lxc_dashboard.services.creation.context import RunContext
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.steps import create, deploy, finalize, start, sync
from lxc_dashboard.services.jobs.engine import slots, ticket
from lxc_dashboard.services.jobs.engine.run import Guest
from lxc_dashboard.services.templates.library.catalog import load_revision

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

DOOR_KEY: Final = "door_key"
# Scripts that copy root's keys recognize the temporary key by the first two words of its comment.
KEY_COMMENT: Final = "lxc-dashboard creation {id} (temporary)"


async def open_context(rt: Runtime, creation: Job, recorder: Recorder) -> RunContext:
    """Raises ``SessionExpiredError`` if the job needs a sign-in, ``NotFoundError`` if its endpoint was removed."""
    client = await ticket.client_of(rt, creation, recorder.owner)
    spec = ContainerSpec.from_json(creation.params)
    async with rt.db.transaction() as tx:
        container = await tx.containers.get(creation.own_container_id)
        password = tx.containers.root_password(container)
        endpoint = await tx.nodes.get(creation.endpoint_id)
        revision = await load_revision(tx, creation.revision_id) if creation.revision_id else None
        way = await access.choose_in(tx, creation.endpoint_id, container.node, spec)
        key = await _door_key(tx, creation, recorder, way, spec)
    guest = Guest(container.vmid, container.node, str(container.marker), container.hostname, container.id)
    way = _barred(way, key, guest.node)
    entrance = way if isinstance(way, NoWay) else Entrance(rt, client, endpoint.id, guest, way=way, key=key)
    if isinstance(entrance, Entrance):
        facts = recorder.checkpoint.facts
        entrance.lead_to(facts.get("address", ""), facts.get("host_key", ""))
    return RunContext(
        rt=rt,
        job_id=creation.id,
        userid=creation.userid,
        endpoint_id=creation.endpoint_id,
        endpoint_name=endpoint.name,
        spec=spec,
        guest=guest,
        container_id=container.id,
        client=client,
        recorder=recorder,
        entrance=entrance,
        revision=revision,
        password=password,
        door_key=key,
    )


def _barred(way: Way | NoWay, key: KeyPair | None, node: str) -> Way | NoWay:
    """``way``, or ``NoWay`` if it is SSH and the job has no key."""
    if isinstance(way, NoWay) or way.kind is not WayKind.SSH or key is not None:
        return way
    return NoWay(Message.of(FailureCode.NO_WAY_NO_KEY, node=node))


async def _door_key(
    tx: Transaction, creation: Job, recorder: Recorder, way: Way | NoWay, spec: ContainerSpec
) -> KeyPair | None:
    """The creation's own SSH key. Makes one if the job will enter its guest by SSH and the create has not begun."""
    secrets = await tx.jobs.get_secrets(creation.id)
    if DOOR_KEY in secrets:
        return KeyPair(*secrets[DOOR_KEY])
    enters = isinstance(way, Way) and way.kind is WayKind.SSH and spec.enters_guest
    if not enters or create.CREATE in recorder.checkpoint.intent or recorder.checkpoint.is_done(create.CREATE):
        return None
    key = KeyPair.make(KEY_COMMENT.format(id=creation.id))
    await tx.jobs.seal_secrets(creation.id, recorder.owner, secrets | {DOOR_KEY: [key.public, key.private]})
    return key


def plan(ctx: RunContext) -> list[dict[str, Any]]:
    """All steps in order: ``{"key", "phase"}`` with ``code`` and ``params``, or with a file's or script's ``title``."""
    steps: list[tuple[str, Phase, Message | str]] = [
        (slots.SLOT, Phase.CREATING, Message.of(CreationCode.PLAN_TURN, node=ctx.guest.node)),
        (create.CHECK, Phase.CREATING, Message.of(CreationCode.PLAN_CHECK)),
    ]
    if ownership.REPLACES in ctx.checkpoint.facts:
        steps.insert(0, (ownership.CLEAR, Phase.CREATING, Message.of(CreationCode.PLAN_CLEAR)))
    if ctx.spec.ostemplate_download:
        steps.append((downloads.STEP, Phase.CREATING, Message.of(CreationCode.PLAN_DOWNLOAD)))
    steps.append((create.CREATE, Phase.CREATING, Message.of(CreationCode.PLAN_CREATE)))
    if ctx.spec.pause_after_create:
        steps.append((create.PAUSE, Phase.CREATING, Message.of(CreationCode.PLAN_PAUSE)))
    steps.append((start.START, Phase.STARTING, Message.of(CreationCode.PLAN_START)))
    entering = [(start.ADDRESS, Phase.STARTING, Message.of(CreationCode.PLAN_ADDRESS))]
    if ctx.spec.enters_guest and isinstance(ctx.way, Way):
        entering.insert(1 if ctx.by_ssh else 0, (start.INIT, Phase.STARTING, start.entered_by(ctx.way)))
    steps += entering
    if ctx.spec.enters_guest:
        steps.append((deploy.PREPARE, Phase.DEPLOYING, Message.of(CreationCode.PLAN_PREPARE)))
        files = ctx.revision.content.files if ctx.revision else ()
        steps += [(f"deploy.file.{entry.name}", Phase.DEPLOYING, entry.target) for entry in files]
        steps += [(step.key, Phase.SYNCING, step.title) for step in sync.steps_of(ctx)]
        steps.append((finalize.DISCOVER, Phase.FINALIZING, Message.of(CreationCode.PLAN_DISCOVER)))
    steps.append((finalize.NOTES, Phase.FINALIZING, Message.of(CreationCode.PLAN_NOTES)))
    return [_planned(*step) for step in steps]


def _planned(key: str, phase: Phase, title: Message | str) -> dict[str, Any]:
    return {"key": key, "phase": phase.value, **({"title": title} if isinstance(title, str) else title.to_json())}
