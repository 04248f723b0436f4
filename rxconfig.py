"""How Reflex builds and runs the pages. What depends on the installation is in ``lxc_dashboard.settings``, not here."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard.frontend import BUILD_ORIGIN, OwnOriginPlugin

config = rx.Config(
    app_name="lxc_dashboard",
    app_module_import="lxc_dashboard.app",
    # Replaced by the page's own origin in the compiled frontend: see OwnOriginPlugin.
    api_url=BUILD_ORIGIN,
    deploy_url=BUILD_ORIGIN,
    # lxc_dashboard.api.middleware.access checks the origin of each request and socket.
    cors_allowed_origins=(BUILD_ORIGIN,),
    # A tab's state stays in the process of its socket. A new socket in another process begins with a new state
    # (lxc_dashboard/state/socket).
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    frontend_compression_formats=["gzip"],
    default_color_mode="system",
    plugins=[OwnOriginPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
