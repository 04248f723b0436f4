"""The command accepts every command line in the docs and in the product's own advice."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final

import typer

from lxc_dashboard.cli import app
from lxc_dashboard.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
SOURCES = sorted([*ROOT.glob("lxc_dashboard/**/*.py"), *ROOT.glob("pve_sandbox/**/*.py")])
PLACES: Final = (".", "tasks", "lxc_dashboard/**", "pve_sandbox/**")
PROGRAM: Final = "lxc-dashboard"
USAGE: Final[type[Exception]] = typer.BadParameter.__mro__[1]  # typer does not export it
WHERE_IT_ENDS = re.compile(r"\s(?:#|\||&&|;|>)\s?.*")
MENTION = re.compile(rf"(?<!`)`(?:\S*/)?{PROGRAM} ([^`\n]+)`(?!`)")
DOCSTRING = re.compile(rf"``{PROGRAM} ([^`\n]+)``")


def fenced(text: str) -> list[str]:
    """The command lines of fenced blocks. Continued lines are joined."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    return [WHERE_IT_ENDS.sub("", line) for line in lines if line.startswith(f"{PROGRAM} ")]


def mentioned(text: str) -> list[str]:
    """The commands within sentences. ``template list|lint`` counts as two."""
    found = [line for pattern in (MENTION, DOCSTRING) for line in pattern.findall(text)]
    return [each for line in found for each in alternatives(line)]


def alternatives(line: str) -> list[str]:
    words = line.split(" ")
    many = next((word for word in words if "|" in word), None)
    return [line] if many is None else [line.replace(many, one) for one in many.split("|")]


def parse(words: list[str], *, whole: bool) -> None:
    """Raise ``USAGE`` for invalid words, and for missing ones if ``whole``."""
    command: Any = typer.main.get_command(app)
    context = None
    try:
        while hasattr(command, "resolve_command"):
            if not words:
                return  # only the name of a group
            context = command.make_context(PROGRAM, words, parent=context)
            _, command, words = command.resolve_command(context, words)
        command.make_context(PROGRAM, words, parent=context)
    except USAGE as error:
        if whole or type(error).__name__ != "MissingParameter":
            raise


CASES = [
    (f"{file.relative_to(ROOT)}: {line}", line, whole)
    for file in (*DOCS, *SOURCES)
    for line, whole in [
        *((line.removeprefix(f"{PROGRAM} "), True) for line in fenced(file.read_text(encoding="utf-8"))),
        *((line, False) for line in mentioned(file.read_text(encoding="utf-8"))),
    ]
]


def is_taken(line: str, *, whole: bool) -> bool:
    try:
        parse([word for word in shlex.split(line.replace("...", "")) if word], whole=whole)
    except USAGE:
        return False
    return True


def test_a_command_line_that_is_shown_is_taken() -> None:
    assert len(CASES) > 40
    assert [where for where, line, whole in CASES if not is_taken(line, whole=whole)] == []


def test_the_docs_show_how_an_endpoint_gets_its_doors() -> None:
    for file in (ROOT / "README.md", ROOT / "docs" / "connect-a-cluster.md"):
        (first, *_) = (line for line in fenced(file.read_text(encoding="utf-8")) if " node add " in line)
        assert "--ssh-key-file " in first
        assert first.count("--door ") == 2


def test_a_make_target_that_is_shown_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = set(re.findall(r"`[A-Z_=0-9 ]*make ([a-z.][\w./-]*)", "".join(f.read_text() for f in DOCS)))
    known = set(re.findall(r"^([\w./-]+):", makefile, re.MULTILINE))
    assert [target for target in shown - known if not target.startswith("bench-")] == []


def test_every_setting_is_documented() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = "".join(line for line in guide.splitlines() if line.startswith("| `"))
    assert [name for name in Settings.model_fields if not re.search(rf"`{name}[`=]", table)] == []


def test_every_room_is_in_the_tree() -> None:
    """The tree has its path, or only its name after a path in the same folder."""
    tree = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Tree")[2].partition("\n## ")[0]
    named = {word.removesuffix("/").rpartition("/")[2] for word in re.findall(r"`([\w./-]+)`", tree)}
    product = ROOT / "lxc_dashboard"
    rooms = [*product.glob("[a-z]*.py"), *(folder.parent for folder in product.glob("[a-z]*/__init__.py"))]
    services = [folder.parent for folder in product.glob("services/[a-z]*/__init__.py")]
    assert sorted({room.name for room in (*rooms, *services)} - named - {"services"}) == []


LINKS = [
    (file, target)
    for file in DOCS
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", file.read_text(encoding="utf-8"))
]
FILES = [
    (file, name)
    for file in DOCS
    if file.name != "CHANGELOG.md"  # it also names files of the past
    for name in sorted(set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|js|lock))`", file.read_text(encoding="utf-8"))))
]


def leads_somewhere(file: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = file.parent / path if path else file
    if not there.exists() or not anchor:
        return there.exists()
    headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_link_leads_to_a_file_and_its_heading() -> None:
    assert LINKS
    assert [(file.name, target) for file, target in LINKS if not leads_somewhere(file, target)] == []


def test_a_file_that_is_named_is_there() -> None:
    assert FILES
    lost = [named for named in FILES if not any(next(ROOT.glob(f"{folder}/{named[1]}"), None) for folder in PLACES)]
    assert lost == []


SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
# The sections of OWASP ASVS 5.0 with requirements of level 1 or 2, by chapter.
ASVS: Final = (
    *("12345", "1234", "23457", "1234", "1234", "1234568", "123456", "1234", "12"),
    *("1234567", "123456", "123", "1234", "123", "123", "12345", "123"),
)
ASVS_STATES: Final = ("met", "partly", "not met", "n/a", "left to the operator")
ASVS_ROW = re.compile(r"^\| (\d+\.\d[\d., -]*) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def sections_of(place: str) -> list[str]:
    """``10.1-10.7`` is seven sections."""
    found = []
    for part in place.split(", "):
        first, _, last = part.partition("-")
        chapter, _, begin = first.partition(".")
        found += [f"{chapter}.{n}" for n in range(int(begin), int((last or first).partition(".")[2]) + 1)]
    return found


def test_a_test_that_shows_something_about_security_is_there() -> None:
    named = sorted(set(re.findall(r"`(tests/[^`]+)`", SECURITY)))
    assert named
    assert [name for name in named if not holds_tests(ROOT / name)] == []


def holds_tests(place: Path) -> bool:
    return place.is_dir() or (place.is_file() and "def test_" in place.read_text(encoding="utf-8"))


def test_every_section_of_asvs_is_answered() -> None:
    answered = {section for place, *_ in ASVS_ROW.findall(SECURITY) for section in sections_of(place)}
    wanted = {f"{chapter}.{section}" for chapter, sections in enumerate(ASVS, 1) for section in sections}
    assert answered == wanted


def test_what_is_said_to_be_met_says_what_shows_it() -> None:
    for place, what, state, how in ASVS_ROW.findall(SECURITY):
        assert state in ASVS_STATES, (place, what)
        assert state != "met" or "`tests/" in how or "no test" in how, (place, what)
