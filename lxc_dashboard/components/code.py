"""Code with line numbers, highlighting and findings: CodeMirror, which only the pages that show it fetch.

Read-only, with a Var or a text::

    code(State.body, name=State.key, label="10-install.sh", language=State.language)

Editable. ``on_change`` gets the whole text: shortly after the last key, when the editor loses focus, and before it
shows another text::

    code(State.body, name=State.key, label=..., language="shell", findings=State.findings, on_change=State.write)

- ``name`` identifies the text: a new name makes a new editor. With the same name, a new ``value`` replaces the text.
  ``on_change`` must store the text in a private var and not set ``value``, which could overwrite a later key.
- ``findings`` is a list of ``CodeFinding`` or objects with the same fields, drawn beside the lines and under the text.
- ``language``: one of ``LANGUAGES``; ``language_of("nginx.conf")`` guesses it. Anything else is plain text.
- The editor refuses input that makes the text longer than a script may be, with a note under it.
- Tab leaves the editor, as everywhere else on the page. Ctrl-] and Ctrl-[ indent, Ctrl-F searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components.scripts import WithText, script

# ``code.js`` loads ``code_mirror.js`` on demand. That script and the template editor import ``long_text.js``.
script(__name__, "code_mirror.js")
script(__name__, "long_text.js")
_CODE = script(__name__, "code.js")

LANGUAGES: Final = {
    "sh": "shell",
    "bash": "shell",
    "profile": "shell",
    "env": "shell",
    "yaml": "yaml",
    "yml": "yaml",
    "toml": "toml",
    "nginx": "nginx",
    "py": "python",
    "ini": "properties",
    "conf": "properties",
    "cfg": "properties",
    "cnf": "properties",
    "properties": "properties",
    "service": "properties",
    "timer": "properties",
    "socket": "properties",
    "mount": "properties",
    "path": "properties",
    "network": "properties",
    "js": "javascript",
    "mjs": "javascript",
    "json": "json",
    "css": "css",
    "xml": "xml",
    "html": "html",
    "htm": "html",
    "dockerfile": "dockerfile",
    "diff": "diff",
    "patch": "diff",
}
PLAIN: Final = "text"


@dataclass(frozen=True)
class CodeFinding:
    """A finding about a line. ``line`` and ``column`` count from 1; ``level``: error, warning, info or style."""

    line: int
    column: int
    level: str
    code: str
    message: str


class Code(rx.Component):
    """See the module's docstring."""

    library = _CODE
    tag = "Code"
    lib_dependencies: list[str] = field(
        default_factory=lambda: [
            "@codemirror/commands@^6.11.1",
            "@codemirror/language@^6.13.1",
            "@codemirror/legacy-modes@^6.5.5",
            "@codemirror/lint@^6.9.8",
            "@codemirror/search@^6.7.2",
            "@codemirror/state@^6.7.6",
            "@codemirror/view@^6.43.15",
            "@lezer/highlight@^1.2.5",
        ]
    )

    name: rx.Var[str] = field()
    value: rx.Var[str] = field()
    language: rx.Var[str] = field()
    label: rx.Var[str] = field()
    described_by: rx.Var[str] = field()
    read_only: rx.Var[bool] = field()
    wrap: rx.Var[bool] = field()
    findings: rx.Var[list[Any]] = field()
    go_to: rx.Var[dict[str, int]] = field()
    long_message: rx.Var[str] = field()
    on_change: WithText


def code(
    value: Any,
    *,
    name: Any,
    label: Any,
    language: Any = PLAIN,
    findings: Any = None,
    wrap: Any = False,
    described_by: Any = "",
    go_to: Any = None,
    on_change: Any = None,
) -> rx.Component:
    """See the module's docstring. Without ``on_change`` it is read-only.

    ``go_to``: each change moves the cursor, for example ``{"line": 3, "asked": 1}``. ``described_by``: the id of the
    element that describes the editor.
    """
    optional: dict[str, Any] = {"findings": findings, "go_to": go_to, "on_change": on_change}
    return Code.create(
        value=value,
        name=name,
        label=label,
        language=language,
        wrap=wrap,
        described_by=described_by,
        read_only=on_change is None,
        long_message=text.CODE_TOO_LONG,
        **{key: given for key, given in optional.items() if given is not None},
    )


def language_of(filename: str) -> str:
    """The most likely language of a file, by its name."""
    lowered = filename.lower()
    if "nginx" in lowered and not lowered.endswith((".service", ".sh")):
        return "nginx"
    return LANGUAGES.get(lowered.rpartition(".")[2], PLAIN)
