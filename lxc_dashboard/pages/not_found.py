"""The page for an unknown address."""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block
from lxc_dashboard.components.controls import link_button
from lxc_dashboard.pages.shell import page


@page(routes.NOT_FOUND, text.NOT_FOUND_TITLE)
def not_found() -> rx.Component:
    return empty_block(text.NOT_FOUND_DETAIL, "", link_button(text.TO_DASHBOARD, routes.DASHBOARD))
