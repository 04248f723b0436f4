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
    # An origin is let in by lxc_dashboard.api.origin; nothing is let in by default.
    cors_allowed_origins=(BUILD_ORIGIN,),
    # One process holds a tab's state for as long as its socket lives; a new socket brings the whole state again, and finds
    # it as new where it comes from another process (state/seats.py).
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    frontend_compression_formats=["gzip"],
    default_color_mode="system",
    plugins=[OwnOriginPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
