"""Loads the real sign-in page when a page of the app redirects to it.

``api.sign_in`` serves that page without a websocket, because a websocket needs a session.
"""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.widgets import load_again


@rx.page(route=routes.SIGN_IN, title=f"{text.SIGN_IN_TITLE} · {text.PRODUCT}")
def sign_in() -> rx.Component:
    return load_again()
