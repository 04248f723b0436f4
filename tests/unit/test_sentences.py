"""Sentences are in ``text/`` only. Elsewhere the product uses codes for what people read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import lxc_dashboard

PRODUCT = Path(lxc_dashboard.__file__).parent
# ``text`` is the place for them. In ``commands`` and ``cli``, typer wants help texts and prompts next to their options.
# The operator who starts a process reads ``embedded`` and ``settings``, before any page.
ELSEWHERE = {"text", "commands", "cli.py", "embedded", "settings.py"}
# Lines of a container's notes in PVE. Workers of every version find them by their words.
READ_AGAIN = {"services/creation/steps/notes.py"}
# Strings for programs and the log. ``httpcore`` errors become the detail of the product's own.
QUIET_CALLS = {"compile", "debug", "info", "warning_once", "exception", "search", "match", "sub", "execute", "field"}
LOGGERS = {"log", "logger", "httpcore"}
QUIET_KEYWORDS = {"class_name", "id", "detail", "at"}
# A sentence has a space and a minimum number of words.
# The first number is for texts that begin with a capital letter or a parameter.
WORDS, WORDS_IN_SMALL = 3, 4
WORD = re.compile(r"(?<![\w-])[A-Za-z]+(?![\w-])")
CODE = re.compile(
    r"[$<>\\|=]|\[\^|^#!|^\w+:\w|\w[+?]\w|\bIN \(|^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|LOCK|SET)\b|/\*|::|--"
)


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
    """Yield nodes with strings that no user reads.

    These are logs, patterns, internal errors, CSS classes and text to find in PVE's messages.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            yield node.left
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
    # A string without blanks is a privilege, an address or a time format.
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
    found = {str(path.relative_to(PRODUCT)): words for path in searched() if (words := sentences(path))}
    assert found == {}, "move these into text/"
