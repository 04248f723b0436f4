"""The editor's scripts: the list in the order of the run, the open script, and its findings of ShellCheck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.components.code import CodeFinding
from lxc_dashboard.services.templates.format import shellcheck
from lxc_dashboard.state.base import requires
from lxc_dashboard.state.templates.editor.page import EditorPart, EditorState
from lxc_dashboard.state.templates.editor.work import ScriptItem

FINDINGS_SHOWN: Final = 100


@dataclass(frozen=True)
class ScriptRow:
    """A script in the list. ``faults``: the number of invalid fields; ``findings``: the number of ShellCheck's, if it ran."""

    key: str
    name: str
    enabled: bool
    optional: bool
    faults: int
    findings: int
    first: bool
    last: bool


@dataclass(frozen=True)
class ScriptForm:
    """The open script without its text."""

    key: str = ""
    name: str = ""
    description: str = ""
    timeout_s: str = ""
    enabled: bool = True
    optional: bool = False


class ScriptsState(EditorPart, EditorState):
    """``script_text``: the initial text of the input. The current text is in the work."""

    scripts: list[ScriptRow] = []
    script_order: list[str] = []
    script: ScriptForm = ScriptForm()
    script_text: str = ""
    findings: list[CodeFinding] = []
    linting: bool = False
    moved_note: str = ""
    go_to: dict[str, int] = {}
    _script_epoch: str = ""
    _found: dict[str, int] = {}
    _lints: int = 0

    async def _on_open(self) -> list[Any]:
        return [ScriptsState.check_script]

    async def _on_text(self, part: str, epoch: str, key: str, written: str) -> Any:
        return await self._write_script(epoch, key, "", written) if part == "scripts" else None

    async def _on_reopen(self, script: str, _file: str) -> list[Any]:
        item = self._work.script("", script)
        if item is not None and item.key != self.script.key:
            self._open_script(item)
        return [ScriptsState.check_script]

    async def _on_refused(self) -> None:
        invalid = [item for item in self._work.scripts if self._faults_in("scripts", item.key)]
        if invalid and self.script.key not in {item.key for item in invalid}:
            self._open_script(invalid[0])

    def _on_draw(self) -> None:
        items = self._work.scripts
        if self._script_epoch != self.epoch or self._work.script(self.script.key) is None:
            kept = self._work.script(self.script.key) or next(iter(items), None)
            self._script_epoch = self.epoch
            self._open_script(kept)
        last = len(items) - 1
        rows = [
            ScriptRow(
                key=item.key,
                name=item.name,
                enabled=item.enabled,
                optional=item.optional,
                faults=self._faults_in("scripts", item.key),
                findings=self._found.get(item.key, 0),
                first=place == 0,
                last=place == last,
            )
            for place, item in enumerate(items)
        ]
        self._set(
            scripts=rows, script_order=[row.key for row in rows], script=_form(self._work.script(self.script.key))
        )

    @requires()
    async def choose_script(self, key: str) -> Any:
        """Open a script."""
        if key != self.script.key:
            self._open_script(self._work.script(key))
        return ScriptsState.check_script

    @requires()
    async def add_script(self) -> Any:
        """Add a script at the end of the run and open it."""
        there = {item.key for item in self._work.scripts}
        work = self._work.with_script(self._work.next_script_name())
        self._open_script(next(item for item in work.scripts if item.key not in there))
        return [self._change(work), ScriptsState.check_script]

    @requires()
    async def remove_script(self, key: str) -> Any:
        return [self._change(self._work.without(key)), ScriptsState.check_script]

    @requires()
    async def move_script(self, key: str, to: int) -> Any:
        """Move a script to another place, from 0."""
        work = self._work.moved(key, int(to))
        names = {item.key: item.name for item in self._work.scripts}
        self._shown_anew(*(f"scripts.{item.key}.name" for item in work.scripts if names.get(item.key) != item.name))
        item = work.script(key)
        if item is not None:
            place = work.scripts.index(item) + 1
            self.moved_note = text.SCRIPT_MOVED.format(name=item.name, place=place, all=len(work.scripts))
        return self._change(work)

    @requires()
    async def write_script(self, epoch: str, key: str, name: str, written: str) -> Any:
        """Store the text of the script called ``name``."""
        return await self._write_script(epoch, key, name, written)

    async def _write_script(self, epoch: str, key: str, name: str, written: str) -> Any:
        item = self._work.script(key, name) if await self._opened(epoch) else None
        if item is None:
            return None
        path = f"scripts.{item.key}.content"
        if epoch != self.epoch and item.key == self.script.key:
            self.script_text = written
        return [self._change(self._work.typed(path, written), path), ScriptsState.check_script]

    @requires()
    async def show_line(self, line: int) -> None:
        """Move the cursor to a line of the open script."""
        self.go_to = {"line": int(line), "asked": self.go_to.get("asked", 0) + 1}

    @requires(background=True, supersedes=True)
    async def check_script(self) -> None:
        """Run ShellCheck on the open script. A new run cancels the previous one."""
        async with self:
            self._lints += 1
            mine, item = self._lints, self._work.script(self.script.key)
            self.linting = item is not None
        if item is None:
            return
        try:
            found = await shellcheck.lint(item.content)
            async with self:
                if mine == self._lints:
                    self._show_findings(item.key, found)
        finally:
            async with self:
                self.linting = self.linting and mine != self._lints

    def _show_findings(self, key: str, found: shellcheck.Findings) -> None:
        shown = [
            CodeFinding(f.line, f.column, f.level, f.code, text.in_words_of(f.message)) for f in found[:FINDINGS_SHOWN]
        ]
        self._found = {**self._found, key: len(found)}
        self._set(findings=shown)
        self._on_draw()

    def _open_script(self, item: ScriptItem | None) -> None:
        self.script = _form(item)
        self._set(script_text=item.content if item else "", findings=[], go_to={})


def _form(item: ScriptItem | None) -> ScriptForm:
    if item is None:
        return ScriptForm()
    return ScriptForm(item.key, item.name, item.description, item.timeout_s, item.enabled, item.optional)
