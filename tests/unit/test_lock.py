"""``requirements.lock`` pins and hashes every package, and names no index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASHED = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+")


def entries() -> list[str]:
    """One line per package, without comments."""
    whole = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    return [" ".join(line.split()) for line in whole.splitlines() if line.strip() and not line.startswith("#")]


def test_every_package_is_pinned_with_its_hashes_and_nothing_says_where_from() -> None:
    assert len(entries()) > 50
    assert [entry for entry in entries() if not HASHED.fullmatch(entry)] == []


def test_what_the_project_asks_for_is_in_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (text for texts in project["optional-dependencies"].values() for text in texts)
    asked = {Requirement(text) for text in (*project["dependencies"], *extras)}
    locked = {canonicalize_name(Requirement(entry.partition(" ")[0]).name) for entry in entries()}
    assert {canonicalize_name(each.name) for each in asked if each.name != project["name"]} <= locked
