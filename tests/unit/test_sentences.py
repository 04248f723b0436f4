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
# What is read by programs and the log. httpcore's errors are raised in its place, and become the detail of ours.
QUIET_CALLS = {"compile", "debug", "info", "warning_once", "exception", "search", "match", "sub", "execute", "field"}
LOGGERS = {"log", "logger", "httpcore"}
QUIET_KEYWORDS = {"class_name", "id", "detail"}
# At least so many words: of a text that begins with a capital letter or a parameter, and of one that does not.
WORDS, WORDS_IN_SMALL = 3, 4
WORD = re.compile(r"(?<![\w-])[A-Za-z]+(?![\w-])")
CODE = re.compile(
    r"[$<>\\|=]|^#!|^\w+:\w|\w[+?]\w|\bIN \(|^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|LOCK|SET)\b|/\*|::|--"
)

# How many are left, by file: a smaller number goes here with the change that removes them. None may be added.
LEFT: dict[str, int] = {
    "guest/base.py": 1,
    "guest/connection.py": 8,
    "guest/doors.py": 11,
    "guest/files.py": 3,
    "guest/keys.py": 4,
    "guest/pool.py": 2,
    "guest/supervisor.py": 21,
    "services/containers/console.py": 7,
    "services/creation/access/entrance.py": 4,
    "services/creation/batch_views.py": 1,
    "services/creation/form/addresses.py": 13,
    "services/creation/form/batch.py": 9,
    "services/creation/form/choices.py": 6,
    "services/creation/form/command.py": 7,
    "services/creation/form/fields.py": 5,
    "services/creation/form/filled.py": 1,
    "services/creation/form/mounts.py": 12,
    "services/creation/form/presets.py": 2,
    "services/creation/form/readers.py": 31,
    "services/creation/form/request_body.py": 3,
    "services/creation/form/ssh_keys.py": 6,
    "services/creation/form/validation.py": 3,
    "services/creation/opening.py": 1,
    "services/creation/preflight/rights.py": 5,
    "services/creation/removal/cancel.py": 1,
    "services/creation/replacement.py": 1,
    "services/creation/request.py": 1,
    "services/creation/reservation.py": 1,
    "services/creation/steps/create.py": 1,
    "services/creation/steps/deploy.py": 2,
    "services/creation/steps/installers.py": 1,
    "services/creation/steps/notes.py": 2,
    "services/creation/steps/sync.py": 1,
    "services/creation/steps/unknown_packages.py": 2,
    "services/creation/steps/vmid_conflict.py": 1,
    "services/templates/format/assignments.py": 17,
    "services/templates/format/checks.py": 3,
    "services/templates/format/conf.py": 7,
    "services/templates/format/content.py": 10,
    "services/templates/format/files.py": 14,
    "services/templates/format/layout.py": 4,
    "services/templates/format/manifest.py": 12,
    "services/templates/format/packages.py": 8,
    "services/templates/format/scripts.py": 3,
    "services/templates/format/secrets.py": 10,
    "services/templates/format/shellcheck.py": 9,
    "services/templates/format/text.py": 2,
    "services/templates/format/tree.py": 7,
    "services/templates/library/authoring.py": 5,
    "services/templates/library/buckets.py": 4,
    "services/templates/library/catalog.py": 5,
    "services/templates/library/drafts.py": 8,
    "services/templates/library/revisions.py": 2,
    "services/templates/library/validation.py": 13,
    "services/templates/sources/archive.py": 8,
    "services/templates/sources/folder.py": 11,
    "services/templates/sources/git/address.py": 14,
    "services/templates/sources/git/checkout.py": 16,
    "services/templates/sources/git/network.py": 3,
    "services/templates/sources/git/reader.py": 8,
    "services/templates/sources/git/reader_process.py": 3,
    "services/templates/sources/git/ssh_client.py": 1,
    "services/templates/sources/git/transport.py": 12,
    "services/templates/sources/imports.py": 1,
    "services/templates/sources/passes.py": 6,
    "services/templates/sources/registry.py": 20,
    "services/templates/sources/sync.py": 2,
    "services/templates/sources/tar_archive.py": 18,
    "services/templates/sources/unpacking.py": 18,
    "services/templates/sources/zip_archive.py": 5,
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
    """What holds strings that no user reads: the log, patterns, faults of our own, classes of CSS."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in QUIET_KEYWORDS:
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
    return len(WORD.findall(words)) >= least and not CODE.search(words)


def words_of(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def searched() -> list[Path]:
    return [path for path in sorted(PRODUCT.rglob("*.py")) if path.relative_to(PRODUCT).parts[0] not in ELSEWHERE]


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
