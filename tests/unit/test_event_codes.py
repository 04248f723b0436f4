"""Codes and their texts: each code has one text, which uses the parameters that the code is given."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import lxc_dashboard
from lxc_dashboard import text
from lxc_dashboard.messages import Message, MessageCode
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.text.messages import MESSAGES
from lxc_dashboard.text.messages.remedies import WithRemedy

PRODUCT = Path(lxc_dashboard.__file__).parent
DECLARES = re.compile(r"^class \w+\(\w*Code\):", re.MULTILINE)
# The functions that send a code, with the position of the code among their arguments.
TELLS = {"tell": 0, "tell_once": 1, "of": 0, "note": 0, "error": 1, "warning": 1}
# Codes without parameters: the start of a step, and the default reason of an error class.
BEGINS = {"begins", "default"}
# Keyword arguments that are no parameters of a text: the place of an event, and a message quoted for its remedy only.
OWN = {"place", "advice"}
# Sent by the database layer, which cannot import enums of services.
BELOW = {JobCode.SIGN_IN_ENDED}


def codes() -> dict[str, MessageCode]:
    """All codes by ``Class.MEMBER``."""
    for path in PRODUCT.rglob("*.py"):
        if DECLARES.search(path.read_text()):
            importlib.import_module(".".join(path.relative_to(PRODUCT.parent).with_suffix("").parts))
    return {f"{kind.__name__}.{code.name}": code for kind in kinds(MessageCode) for code in kind}


def kinds(base: type[MessageCode]) -> Iterator[type[MessageCode]]:
    for kind in base.__subclasses__():
        yield from (kind, *kinds(kind))


def placeholders(words: str | tuple[str, str] | WithRemedy) -> set[str]:
    """The parameters of a text, without ``remedy``, which comes from a message among them."""
    each = (words,) if isinstance(words, str) else words
    found = {name for part in each for _, name, _, _ in Formatter().parse(part) if name}
    if isinstance(words, WithRemedy):
        return found - {"remedy"}
    return found | {"count"} if isinstance(words, tuple) else found


class Module:
    """The codes that one module sends, each with the names of its parameters."""

    def __init__(self, path: Path, known: dict[str, MessageCode]) -> None:
        self._known = known
        nodes = list(ast.walk(ast.parse(path.read_text())))
        self._calls = [node for node in nodes if isinstance(node, ast.Call)]
        self._named: dict[str, list[MessageCode]] = {}
        parameters = {
            node.name: [argument.arg for argument in node.args.args]
            for node in nodes
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        }
        for node in nodes:
            for name, value in named(node, parameters):
                self._named.setdefault(name, []).extend(self._direct(value))

    def told(self) -> Iterator[tuple[MessageCode, set[str]]]:
        for call in self._calls:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            names = {keyword.arg for keyword in call.keywords if keyword.arg} - OWN
            if name in TELLS and len(call.args) > TELLS[name]:
                yield from ((code, names) for code in self._codes(call.args[TELLS[name]]))
            begins = [call.args[2]] if name == "Step" else [key.value for key in call.keywords if key.arg in BEGINS]
            yield from ((code, set()) for value in begins for code in self._codes(value))
        yield from ((code, set()) for code in self._named.get("default", ()))

    def _codes(self, node: ast.expr) -> Iterator[MessageCode]:
        """All codes that an expression may be. Names are resolved within this module."""
        yield from self._direct(node)
        for part in ast.walk(node):
            name = part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")
            yield from self._named.get(name, ())

    def _direct(self, node: ast.expr) -> Iterator[MessageCode]:
        attributes = (part for part in ast.walk(node) if isinstance(part, ast.Attribute))
        names = (f"{part.value.id}.{part.attr}" for part in attributes if isinstance(part.value, ast.Name))
        return (self._known[name] for name in names if name in self._known)


def named(node: ast.AST, parameters: dict[str, list[str]]) -> Iterator[tuple[str, ast.expr]]:
    """The values that the node names: as a variable, a keyword, or a parameter of the module's own functions."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Call(func=ast.Name(id=function), args=args):
            yield from zip(parameters.get(function, ()), args, strict=False)


@cache
def told() -> dict[MessageCode, list[set[str]]]:
    known = codes()
    found: dict[MessageCode, list[set[str]]] = {code: [] for code in known.values()}
    telling = [path for path in PRODUCT.rglob("*.py") if "Code." in path.read_text()]
    for path in telling:
        for code, names in Module(path, known).told():
            found[code].append(names)
    return found


def test_each_code_has_a_text_and_each_text_a_code() -> None:
    declared = {code.value for code in codes().values()}
    assert sorted(declared - MESSAGES.keys()) == [], "codes without a text"
    assert sorted(MESSAGES.keys() - declared) == [], "texts without a code"


def test_each_code_is_told() -> None:
    assert sorted(code for code, calls in told().items() if not calls and code not in BELOW) == []


def test_each_code_is_told_with_the_parameters_of_its_text() -> None:
    wrong = [
        (code.value, sorted(names), sorted(placeholders(MESSAGES[code])))
        for code, calls in told().items()
        for names in calls
        if code in MESSAGES and names != placeholders(MESSAGES[code])
    ]
    assert wrong == []


def test_codes_are_unique_and_fit_their_column() -> None:
    values = [code.value for code in codes().values()]
    assert len(values) == len(set(values))
    assert [value for value in values if len(value) > 63] == []


def test_one_and_several_have_their_own_words() -> None:
    assert text.in_words("job.slot_awaited", {"count": 1, "node": "pve1"}).startswith("Waits for 1 other on pve1")
    assert text.in_words("job.slot_awaited", {"count": 2, "node": "pve1"}).startswith("Waits for 2 others on pve1")


def test_what_another_version_told_is_shown_as_far_as_it_is_understood() -> None:
    assert text.in_words("guest.dreams", {"of": ["sheep", "cows"]}) == "guest.dreams of=sheep, cows"
    assert text.in_words("guest.address", {}) == "Its address is ?"
    assert text.in_words("", {}, "an old sentence") == "an old sentence"
    assert text.in_words_of({"message": "It failed"}) == "It failed"


def test_an_event_is_one_line_whatever_its_parameters_hold() -> None:
    assert text.in_words("job.failed", {"reason": "first\nsecond"}) == "first second"


def test_a_message_quotes_another_one_also_after_it_was_stored() -> None:
    inner = Message.of(JobCode.SLOT_AWAITED, count=1, node="pve1")
    outer = Message.of(JobCode.FAILED, reason=inner)
    assert Message.from_json(outer.to_json()) == outer
    assert text.in_words_of(outer) == text.in_words_of(inner)
    assert text.in_words_of(Message.of(JobCode.FAILED, reason=Message(text="said by PVE"))) == "said by PVE"
