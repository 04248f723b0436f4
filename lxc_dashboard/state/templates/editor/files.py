"""The editor's files: texts and uploads, their target directories and policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard import routes
from lxc_dashboard.components.code import PLAIN, language_of
from lxc_dashboard.errors import DashboardError, InvalidInputError, SessionExpiredError
from lxc_dashboard.services.templates.library import drafts
from lxc_dashboard.services.templates.library.draft import Draft
from lxc_dashboard.state.base import requires, runtime, session
from lxc_dashboard.state.templates.editor.page import EditorPart, EditorState
from lxc_dashboard.state.templates.editor.work import FileItem

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

TEXT_BYTES: Final = 512 << 10
NAME_CHARS: Final = 255
NEW_FILE: Final = "new-file.txt"


@dataclass(frozen=True)
class FileRow:
    """A file in the list. ``size`` in bytes; ``faults``: the number of invalid fields."""

    key: str
    name: str
    target: str
    size: int
    faults: int


@dataclass(frozen=True)
class FileForm:
    """The open file without its content. ``is_text``: it can be shown and edited."""

    key: str = ""
    name: str = ""
    target_dir: str = ""
    policy: str = ""
    mode: str = ""
    owner: str = ""
    size: int = 0
    is_text: bool = False
    language: str = PLAIN
    href: str = ""


class FilesState(EditorPart, EditorState):
    """``file_text``: the initial text of the input; ``_typed_files``: edited texts that are not in the draft yet."""

    files: list[FileRow] = []
    file: FileForm = FileForm()
    file_text: str = ""
    upload_url: str = ""
    _file_is_text: bool = False
    _file_epoch: str = ""
    _typed_files: dict[str, str] = {}

    def _on_begin(self, draft: Draft, *, is_same: bool) -> None:
        del draft
        if not is_same:
            self._typed_files = {}

    async def _on_open(self) -> list[Any]:
        await self._load_file()
        return []

    async def _on_text(self, part: str, epoch: str, key: str, written: str) -> Any:
        return await self._write_file(epoch, key, "", written) if part == "files" else None

    async def _on_reopen(self, _script: str, file: str) -> list[Any]:
        item = self._work.file("", file)
        if item is not None and item.key != self.file.key:
            await self._open_file(item)
        return []

    async def _on_refused(self) -> None:
        invalid = [item for item in self._work.files if self._faults_in("files", item.key)]
        if invalid and self.file.key not in {item.key for item in invalid}:
            await self._open_file(invalid[0])

    def _on_draw(self) -> None:
        item = self._work.file(self.file.key)
        rows = [
            FileRow(
                each.key,
                each.name,
                f"{each.target_dir.rstrip('/')}/{each.name}" if each.target_dir else "",
                each.size,
                self._faults_in("files", each.key),
            )
            for each in self._work.files
        ]
        self._set(files=rows, file=self._file_form(item), upload_url=routes.draft_files(self.draft_id))

    async def _load_file(self) -> None:
        """Open the previously open file, or the first one."""
        item = self._work.file(self.file.key) or next(iter(self._work.files), None)
        if item is None or self._file_epoch != self.epoch or item.key != self.file.key:
            await self._open_file(item)

    @requires()
    async def choose_file(self, key: str) -> None:
        """Open a file."""
        if key != self.file.key:
            await self._open_file(self._work.file(key))

    @requires()
    async def add_text_file(self) -> Any:
        """Add an empty text file and open it."""
        taken = {item.name for item in self._work.files}
        stem, _, suffix = NEW_FILE.rpartition(".")
        names = (NEW_FILE, *(f"{stem}-{n}.{suffix}" for n in range(2, len(taken) + 3)))
        sha256 = await drafts.put_file(runtime(), session(), self._draft(), b"")
        return await self._take_file(next(name for name in names if name not in taken), sha256, 0)

    @requires()
    async def uploaded(self, name: str, sha256: str, size: int) -> Any:
        """Add an uploaded file, or replace the content of the file with its name. Its size comes from the draft."""
        del size
        data = await drafts.read_file(runtime(), session(), self._draft(), str(sha256))
        return await self._take_file(str(name)[:NAME_CHARS], str(sha256), len(data))

    @requires()
    async def replaced(self, name: str, sha256: str, size: int) -> Any:
        """Replace the content of the open file with an upload of any name."""
        del name
        return await self.uploaded(self.file.name, sha256, size) if self.file.key else None

    @requires()
    async def remove_file(self, key: str) -> Any:
        keep = self._change(self._work.without(key))
        await self._load_file()
        return keep

    @requires()
    async def write_file(self, epoch: str, key: str, name: str, written: str) -> Any:
        """Store the text of the file called ``name``."""
        return await self._write_file(epoch, key, name, written)

    async def _write_file(self, epoch: str, key: str, name: str, written: str) -> Any:
        item = self._work.file(key, name) if await self._opened(epoch) else None
        if item is None:
            return None
        self._typed_files = {**self._typed_files, item.key: written}
        if epoch != self.epoch and item.key == self.file.key:
            self.file_text = written
        return self._change(self._work, f"files.{item.key}.content")

    async def _on_keep(self, rt: Runtime, who: Session) -> bool:
        for key, written in self._typed_files.items():
            data = written.encode()
            try:
                sha256 = await drafts.put_file(rt, who, self._draft(), data)
            except SessionExpiredError:
                raise
            except DashboardError as error:
                if isinstance(error, InvalidInputError):
                    self._refused |= {f"files.{key}.content": why for why in error.fields.values()}
                self._not_kept(error)
                return False
            self._work = self._work.with_content(key, sha256, len(data))
        self._typed_files = {}
        self._draw()
        return True

    async def _take_file(self, name: str, sha256: str, size: int) -> Any:
        there = next((item.key for item in self._work.files if item.name == name), "")
        self._typed_files = {key: written for key, written in self._typed_files.items() if key != there}
        keep = self._change(self._work.with_file(name, sha256, size))
        await self._open_file(next(item for item in self._work.files if item.name == name))
        return keep

    async def _open_file(self, item: FileItem | None) -> None:
        self._file_epoch = self.epoch
        content = await self._read(item) if item else None
        self._file_is_text = content is not None
        self.file_text = content or ""
        self.file = self._file_form(item)

    async def _read(self, item: FileItem) -> str | None:
        """The content as text; None if it is no text, or too long to show."""
        if item.key in self._typed_files:
            return self._typed_files[item.key]
        if item.size > TEXT_BYTES:
            return None
        data = await drafts.read_file(runtime(), session(), self._draft(), item.sha256)
        try:
            found = data.decode("utf-8")
        except UnicodeDecodeError:
            return None
        # The browser's editor would change CR line ends, and showing a file must not change it.
        return None if "\0" in found or "\r" in found else found

    def _file_form(self, item: FileItem | None) -> FileForm:
        if item is None:
            return FileForm()
        return FileForm(
            key=item.key,
            name=item.name,
            target_dir=item.target_dir,
            policy=item.policy,
            mode=item.mode,
            owner=item.owner,
            size=item.size,
            is_text=self._file_is_text,
            language=language_of(item.name),
            href=f"{routes.draft_files(self.draft_id)}/{item.sha256}",
        )
