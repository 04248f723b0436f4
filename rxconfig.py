"""How Reflex builds and runs the pages. Settings of an installation are in ``lxc_dashboard.settings``."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard.frontend import BUILD_ORIGIN, OwnOriginPlugin

config = rx.Config(
    app_name="lxc_dashboard",
    app_module_import="lxc_dashboard.app",
    # OwnOriginPlugin replaces it with the page's own origin in the compiled frontend.
    api_url=BUILD_ORIGIN,
    deploy_url=BUILD_ORIGIN,
    # lxc_dashboard.api.middleware.access checks origins. Reflex itself allows none.
    cors_allowed_origins=(BUILD_ORIGIN,),
    # The process of a tab's socket holds its state. A tab that reconnects to another process starts with a new state
    # (state/socket/tabs.py).
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    frontend_compression_formats=["gzip"],
    default_color_mode="system",
    plugins=[OwnOriginPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
