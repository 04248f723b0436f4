"""Sentences stand in ``text/`` only: what else the product says to people is a code."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import lxc_dashboard

PRODUCT = Path(lxc_dashboard.__file__).parent
# ``text`` is where they belong. ``commands`` and ``cli`` are edges of their own: help texts and prompts stand beside their
# options, as typer wants it. ``embedded`` and ``settings`` are read by the operator who starts a process, before any page.
ELSEWHERE = {"text", "commands", "cli.py", "embedded", "settings.py"}
# Lines of a container's notes in PVE: workers of every version find them again by their words.
READ_AGAIN = {"services/creation/steps/notes.py"}
# What is read by programs and the log.
QUIET_CALLS = {"compile", "debug", "info", "warning_once", "exception", "search", "match", "sub", "execute", "field"}
LOGGERS = {"log", "logger"}
# At least so many words, with a space: of a text that begins with a capital letter or a parameter, and of one that does not.
WORDS, WORDS_IN_SMALL = 3, 4
WORD = re.compile(r"(?<![\w-])[A-Za-z]+(?![\w-])")
CODE = re.compile(r"[$<>\\|=]|\[\^|^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|LOCK|SET)\b|/\*|::|--")

# How many are left, by file: a smaller number goes here with the change that removes them. None may be added.
LEFT: dict[str, int] = {
    "api/middleware/limits.py": 4,
    "api/sign_in_page.py": 1,
    "api/templates.py": 2,
    "bus/__init__.py": 3,
    "crypto.py": 5,
    "db/database.py": 1,
    "db/engine.py": 3,
    "db/errors.py": 1,
    "db/migrate.py": 3,
    "db/models/jobs.py": 1,
    "db/repositories/buckets.py": 1,
    "db/repositories/containers.py": 5,
    "db/repositories/drafts.py": 1,
    "db/repositories/job_lists.py": 1,
    "db/repositories/jobs.py": 8,
    "db/repositories/nodes.py": 3,
    "db/repositories/presets.py": 2,
    "db/repositories/sources.py": 1,
    "db/repositories/templates.py": 6,
    "db/repositories/tickets.py": 2,
    "db/standings.py": 1,
    "frontend.py": 5,
    "pages/templates/editor/scripts.py": 1,
    "proxmox/console.py": 3,
    "proxmox/decoding.py": 5,
    "proxmox/endpoint.py": 4,
    "proxmox/errors.py": 9,
    "proxmox/schemas/tasks.py": 1,
    "proxmox/transport.py": 8,
    "queue.py": 1,
    "services/auth/sign_in.py": 3,
    "services/auth/tokens.py": 2,
    "services/jobs/engine/pve_tasks.py": 2,
    "services/jobs/engine/ticket.py": 1,
    "services/jobs/identity.py": 3,
    "services/jobs/kinds.py": 1,
    "services/jobs/visibility.py": 1,
    "services/monitor/feed.py": 1,
    "state/containers/container_list.py": 1,
    "state/guard.py": 1,
    "state/jobs/hubs.py": 1,
    "state/process.py": 1,
    "state/socket/messages.py": 1,
    "state/templates/editor/work.py": 1,
}


def sentences(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    skipped = docstrings | {id(part) for call in quiet(tree) for part in ast.walk(call)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    return [
        words
        for node in ast.walk(tree)
        if id(node) not in skipped and (isinstance(node, ast.JoinedStr) or id(node) not in parts)
        if (words := words_of(node)) and is_sentence(words)
    ]


def quiet(tree: ast.AST) -> Iterator[ast.AST]:
    """What holds strings that no user reads: the log, patterns, faults of our own, classes of CSS, what PVE's text is searched for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            yield node.left
        if isinstance(node, ast.keyword) and node.arg in {"class_name", "id"}:
            yield node
        if not isinstance(node, ast.Call):
            continue
        of = node.func
        if isinstance(of, ast.Attribute):
            logs = isinstance(of.value, ast.Name) and of.value.id in LOGGERS
            if logs or of.attr in QUIET_CALLS:
                yield node
        elif getattr(of, "id", "") in {"RuntimeError", "ValueError", "TypeError", "AssertionError", "cast"}:
            yield node


def is_sentence(words: str) -> bool:
    begin = words.lstrip("{}. ;")[:1]
    least = WORDS if begin.isupper() or words.startswith("{") else WORDS_IN_SMALL
    # Without blanks it is a privilege, an address or a format of time.
    return " " in words and len(WORD.findall(words)) >= least and not CODE.search(words)


def words_of(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def searched() -> list[Path]:
    paths = sorted(PRODUCT.rglob("*.py"))
    return [
        path
        for path in paths
        if (inside := path.relative_to(PRODUCT)).parts[0] not in ELSEWHERE and str(inside) not in READ_AGAIN
    ]


def test_sentences_stand_in_text_only() -> None:
    found = {str(path.relative_to(PRODUCT)): sentences(path) for path in searched()}
    counted = {path: len(words) for path, words in found.items() if words}
    wrong = {
        path: found.get(path, []) for path in counted.keys() | LEFT.keys() if counted.get(path, 0) != LEFT.get(path, 0)
    }
    assert wrong == {}, "move these into text/, or lower the numbers in LEFT"


if __name__ == "__main__":  # prints LEFT as it is now: python -m tests.unit.test_sentences
    for path in searched():
        if words := sentences(path):
            sys.stdout.write(f'    "{path.relative_to(PRODUCT)}": {len(words)},\n')
