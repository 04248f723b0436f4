"""The console of a guest: xterm.js over a websocket of the dashboard."""

from __future__ import annotations

import reflex as rx
from reflex_base.components.component import NoSSRComponent, field

from lxc_dashboard import routes, text
from lxc_dashboard.components.blocks import empty_block, missing_block, page_states
from lxc_dashboard.components.controls import button, mono
from lxc_dashboard.components.scripts import script
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.containers.console import ConsoleState

# ``console.js`` imports this script when the console is first shown.
script(__name__, "console_terminal.js")
_CONSOLE = script(__name__, "console.js")


class Console(NoSSRComponent):
    """Connects to ``url``, a path of this site, while it is shown. Shows nothing if ``url`` is empty."""

    library = _CONSOLE
    tag = "Console"
    lib_dependencies: list[str] = field(default_factory=lambda: ["@xterm/addon-fit@^0.11.0", "@xterm/xterm@^6.0.0"])

    url: rx.Var[str] = field()
    label: rx.Var[str] = field()
    words: rx.Var[dict[str, str]] = field()


@page(
    routes.CONSOLE,
    ConsoleState.title,
    tab_title=text.CONSOLE,
    crumbs=((text.NAV_CONTAINERS, routes.CONTAINERS),),
    on_load=ConsoleState.load,
    of=ConsoleState,
)
def console() -> rx.Component:
    gone = missing_block(text.NO_SUCH_GUEST, text.MISSING_GUEST_DETAIL, text.ALL_CONTAINERS, routes.CONTAINERS)
    return page_states(ConsoleState, _console, empty=_stopped, missing=gone, retry=ConsoleState.load)


def _console() -> rx.Component:
    return rx.cond(
        ConsoleState.url != "",
        rx.el.div(
            rx.el.p(f"{text.NODE} ", mono(ConsoleState.node), f". {text.CONSOLE_SHARED}", class_name="soft"),
            Console.create(url=ConsoleState.url, label=text.CONSOLE_LABEL, words=dict(text.CONSOLE_WORDS)),
            rx.el.p(text.CONSOLE_KEYS, class_name="soft"),
            class_name="stack-small console-page",
        ),
        _stopped(),
    )


def _stopped() -> rx.Component:
    return empty_block(
        text.CONSOLE_STOPPED,
        rx.cond(ConsoleState.barred != "", ConsoleState.barred, text.CONSOLE_STOPPED_NEXT),
        button(
            text.CONSOLE_START,
            kind="primary",
            on_click=ConsoleState.start,
            disabled=ConsoleState.starting | (ConsoleState.barred != ""),
            title=ConsoleState.barred,
        ),
    )
