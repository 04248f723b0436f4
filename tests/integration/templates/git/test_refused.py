"""Changes of sources that are refused, for which users, and rate limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from lxc_dashboard.errors import ConflictError, InvalidInputError, PrivilegeError, RateLimitedError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.sources import passes, registry, webhooks
from lxc_dashboard.services.templates.sources.registry import GitSecrets, SourceInput
from tests.git_servers import HttpsGit, SshGit
from tests.integration.templates.sources import audited

OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


async def test_who_may_not_author_changes_nothing(
    rt: Runtime, ann: Session, viewer: Session, wanted: SourceInput, https: HttpsGit
) -> None:
    source_id = await registry.add_git(rt, ann, wanted)
    asked = len(https.requests)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: registry.add_git(rt, viewer, dataclasses.replace(wanted, name="mine")),
        lambda: registry.update(rt, viewer, source_id, dataclasses.replace(wanted, ref="other")),
        lambda: passes.sync_source(rt, viewer, source_id),
        lambda: registry.remove(rt, viewer, source_id, name="team"),
        lambda: registry.offered_host_key(rt, viewer, "ssh://git@localhost/r"),
    ]
    for attempt in attempts:
        with pytest.raises(PrivilegeError):
            await attempt()
    assert len(https.requests) == asked
    assert [found.name for found in await registry.list_sources(rt, viewer)] == ["team"]
    refused = [
        entry for action in ("add", "change", "sync", "remove") for entry in await audited(rt, f"source.{action}")
    ]
    assert [result for userid, _, result in refused if userid == viewer.userid] == ["refused"] * 4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "custom"}, "name"),
        ({"location": "http://localhost/r"}, "location"),
        ({"location": "https://localhost/nothing.git"}, "location"),
        ({"ref": "a..b"}, "ref"),
        ({"subfolder": "../x"}, "subfolder"),
        ({"every_s": 5}, "every_s"),
        ({"webhook_secret": "short"}, "webhook_secret"),
        ({"secrets": GitSecrets("me:you", "x")}, "username"),
        ({"secrets": GitSecrets("me", "")}, "password"),
        ({"location": "ssh://localhost/r", "host_key": "x"}, "private_key"),
        ({"location": "ssh://localhost/r", "host_key": "x", "secrets": GitSecrets(private_key="x")}, "private_key"),
        ({"location": "ssh://localhost/r", "host_key": "x", "secrets": GitSecrets(private_key=OTHER_KEY)}, "host_key"),
        (
            {"location": "ssh://localhost/r", "secrets": GitSecrets(private_key=OTHER_KEY + "\n" * 32_768)},
            "private_key",
        ),
        (
            {
                "location": "ssh://localhost/r",
                "host_key": f"ssh-ed25519 AAAA {'x' * 4_096}",
                "secrets": GitSecrets(private_key=OTHER_KEY),
            },
            "host_key",
        ),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    rt: Runtime, ann: Session, wanted: SourceInput, change: dict[str, object], field: str
) -> None:
    location = str(change.get("location", "")).replace("https://localhost/", wanted.location.rpartition("/")[0] + "/")
    given = {**change, **({"location": location} if location else {})}
    with pytest.raises(InvalidInputError) as caught:
        await registry.add_git(rt, ann, dataclasses.replace(wanted, **given))  # type: ignore[arg-type] # any field
    assert field in caught.value.fields
    assert await registry.list_sources(rt, ann) == []


async def test_a_name_is_taken_once_and_nobody_searches_for_servers(
    rt: Runtime, ann: Session, wanted: SourceInput, ssh: SshGit
) -> None:
    await registry.add_git(rt, ann, wanted)
    with pytest.raises(ConflictError):
        await registry.add_git(rt, ann, wanted)
    for _ in range(registry.LOOKS - 2):
        await registry.offered_host_key(rt, ann, ssh.url("recipes.git"))
    with pytest.raises(RateLimitedError):
        await registry.offered_host_key(rt, ann, ssh.url("recipes.git"))


async def test_an_ipv6_network_is_one_sender_whatever_address_it_takes(rt: Runtime) -> None:
    for number in range(webhooks.PER_ADDRESS):
        await webhooks.limit(rt, f"2001:db8:9::{number:x}")
    with pytest.raises(RateLimitedError):
        await webhooks.limit(rt, "2001:db8:9::ffff")
