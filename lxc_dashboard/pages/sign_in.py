"""The sign-in page is served whole by ``api.sign_in``, without a websocket: nobody has one before having signed in.

This page only stands in its place when a page is led to it from inside, and loads the real one.
"""

from __future__ import annotations

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.widgets import load_again


@rx.page(route=routes.SIGN_IN, title=f"{text.SIGN_IN_TITLE} · {text.PRODUCT}")
def sign_in() -> rx.Component:
    return load_again()
