"""The composition root of the web process: app, guard, HTTP middleware, lifespan and error handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import reflex as rx
import structlog
from reflex.state import StateUpdate

from lxc_dashboard import frontend, logs, pages
from lxc_dashboard.api.middleware.access import accepts_origin
from lxc_dashboard.api.middleware.connections import Connections
from lxc_dashboard.api.request import trust_of
from lxc_dashboard.api.site import wrap_reflex
from lxc_dashboard.components.widgets import boundary
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.memory import trim_always
from lxc_dashboard.state.containers.feed import update_of
from lxc_dashboard.state.guard import Guard
from lxc_dashboard.state.jobs import room as job_room
from lxc_dashboard.state.jobs import running
from lxc_dashboard.state.jobs.hubs import Pushes
from lxc_dashboard.state.problems import quiet_reflex, show_problem
from lxc_dashboard.state.process import WebProcess

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime

__all__ = ["app", "pages", "process"]

log = structlog.get_logger(__name__)


def _open_runtime() -> AbstractAsyncContextManager[Runtime]:
    # Imported late: a build of the pages has no settings.
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.settings import Settings

    settings = Settings.load()
    logs.configure(settings.LOG_LEVEL, json=settings.LOG_JSON)
    return Runtime.open(settings)


# The first discovery of thousands of templates takes minutes and continues while pages are served.
WAIT_FOR_TEMPLATES_S = 5.0


async def _read_templates(runtime: Runtime) -> None:
    from lxc_dashboard.services.templates.sources.passes import START, Requester
    from lxc_dashboard.services.templates.sources.sync import sync_folders

    try:
        await sync_folders(runtime.db, runtime.settings.template_folders(), Requester(START).tell)
    except DashboardError as error:
        log.warning("template discovery failed at start", cause=str(error))


async def _push_patch(room: str, patch: dict[str, Any], status: dict[str, Any]) -> None:
    """Push the list's patch and the frame's status in one message, because every page with the list shows both."""
    status_delta = running.feed_update_of(status).delta if status else {}
    await process.sockets.push(room, StateUpdate(delta={**update_of(patch).delta, **status_delta}))


@asynccontextmanager
async def _running() -> AsyncIterator[None]:
    from lxc_dashboard.services.auth.endpoints import ensure_endpoint_from_settings

    async with process.running() as runtime:
        await ensure_endpoint_from_settings(runtime)
        reading = asyncio.create_task(_read_templates(runtime), name="templates")
        await asyncio.wait({reading}, timeout=WAIT_FOR_TEMPLATES_S)
        following = asyncio.create_task(process.sockets.follow_ends(runtime), name="session ends")
        closing = asyncio.create_task(process.tabs.follow(), name="closed tabs")
        bounding = asyncio.create_task(connections.run(), name="connections")
        trimming = asyncio.create_task(trim_always(), name="memory")
        try:
            async with (
                process.open_feeds(_push_patch),
                process.open_jobs(lambda room, tick: process.sockets.push(room, job_room.update_of(tick))),
                process.open_running(
                    Pushes(
                        shown=lambda room, shown: process.sockets.push(room, running.update_of(shown)),
                        status=lambda room, status, but: process.sockets.push(
                            room, running.feed_update_of(status), but=but
                        ),
                    )
                ),
            ):
                yield
        finally:
            tasks = (following, closing, bounding, trimming, reading)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


quiet_reflex()
process = WebProcess(_open_runtime)
connections = Connections(lambda: trust_of(process))
app = rx.App(
    html_lang="en",
    stylesheets=["/dashboard.css", "/live.css", "/editor.css", "/templates.css", "/buckets.css", "/sources.css"],
    reset_style=False,
    toaster=None,
    # Replaces Reflex's own error page and its signs of a lost connection.
    app_wraps={(55, "ErrorBoundary"): lambda _stateful: boundary()},
    head_components=[rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml")],
    backend_exception_handler=show_problem,
    api_transformer=wrap_reflex(process, frontend.static_folder(), connections),
)
process.attach(app, accepts_origin(process))
app.add_middleware(Guard(process))
app.register_lifespan_task(_running)
