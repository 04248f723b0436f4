"""The React components of ``guide.js``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard import text
from lxc_dashboard.components import widgets
from lxc_dashboard.components.scripts import script
from lxc_dashboard.state.templates.editor.files import FilesState
from lxc_dashboard.state.templates.editor.page import EditorState
from lxc_dashboard.state.templates.editor.save import SaveState
from lxc_dashboard.state.templates.editor.scripts import ScriptsState

# For mypy, Reflex's annotation of an event trigger is a value.
if TYPE_CHECKING:
    OnField = rx.EventHandler
    OnMove = rx.EventHandler
    OnDone = rx.EventHandler
    OnReopen = rx.EventHandler
else:
    OnField = rx.EventHandler[rx.event.passthrough_event_spec(str, str, str)]
    OnMove = rx.EventHandler[rx.event.passthrough_event_spec(str, int)]
    OnDone = rx.EventHandler[rx.event.passthrough_event_spec(str, str, int)]
    OnReopen = rx.EventHandler[rx.event.passthrough_event_spec(str, str, str)]

FORM_ID: Final = "editor"
SAVE_ID: Final = "save"
MAX_FILE_BYTES: Final = 16 << 20

_GUIDE = script(__name__, "guide.js")
# ``guide.js`` uses this module's dialog.
_DIALOG = widgets.DialogWidget


class Guide(rx.Component):
    """One export of ``guide.js``."""

    library = _GUIDE


class TypedGuide(Guide):
    tag = "Typed"
    form: rx.Var[str] = field()
    epoch: rx.Var[str] = field()
    draft: rx.Var[str] = field()
    long_message: rx.Var[str] = field()
    on_field: OnField


class OpenedGuide(Guide):
    tag = "Opened"
    epoch: rx.Var[str] = field()
    draft: rx.Var[str] = field()
    part: rx.Var[str] = field()
    script: rx.Var[str] = field()
    file: rx.Var[str] = field()
    on_reopen: OnReopen


class InvalidFocusGuide(Guide):
    tag = "InvalidFocus"
    form: rx.Var[str] = field()
    save: rx.Var[str] = field()
    refusals: rx.Var[int] = field()


class SortableGuide(Guide):
    tag = "Sortable"
    order: rx.Var[list[str]] = field()
    message: rx.Var[str] = field()
    label: rx.Var[str] = field()
    on_move: OnMove


class UploadGuide(Guide):
    tag = "Upload"
    url: rx.Var[str] = field()
    label: rx.Var[str] = field()
    many: rx.Var[bool] = field()
    most: rx.Var[int] = field()
    too_long: rx.Var[str] = field()
    failed: rx.Var[str] = field()
    busy: rx.Var[str] = field()
    on_done: OnDone


class LeavingGuide(Guide):
    tag = "Leaving"
    dirty: rx.Var[bool] = field()
    title: rx.Var[str] = field()
    consequence: rx.Var[str] = field()
    stay: rx.Var[str] = field()
    leave: rx.Var[str] = field()


class KeptGuide(Guide):
    tag = "Kept"
    at: rx.Var[str] = field()
    message: rx.Var[str] = field()


def guides() -> rx.Component:
    """The components that listen while the editor is open."""
    return rx.fragment(
        TypedGuide.create(
            form=FORM_ID,
            epoch=EditorState.epoch,
            draft=EditorState.draft_id,
            long_message=text.CODE_TOO_LONG,
            on_field=EditorState.typed,
        ),
        OpenedGuide.create(
            epoch=EditorState.epoch,
            draft=EditorState.draft_id,
            part=EditorState.part,
            script=ScriptsState.script.name,
            file=FilesState.file.name,
            on_reopen=EditorState.reopen,
        ),
        InvalidFocusGuide.create(form=FORM_ID, save=SAVE_ID, refusals=SaveState.refusals),
        LeavingGuide.create(
            dirty=EditorState.dirty,
            title=text.LEAVE_TITLE,
            consequence=text.LEAVE_CONSEQUENCE,
            stay=text.LEAVE_STAY,
            leave=text.LEAVE_GO,
        ),
    )


def sortable(*rows: Any, order: Any, message: Any, on_move: Any, label: str, class_name: str) -> rx.Component:
    """Rows that the user can move. A row has ``data-row``, its focus target ``data-part``, its buttons ``data-by``."""
    return SortableGuide.create(
        *rows, order=order, message=message, on_move=on_move, label=label, class_name=class_name
    )


def upload(label: str, on_done: Any, *, many: bool = False) -> rx.Component:
    """A button that uploads files into the draft. ``on_done`` gets name, SHA-256 and size of each file."""
    return UploadGuide.create(
        url=FilesState.upload_url,
        label=label,
        many=many,
        most=MAX_FILE_BYTES,
        too_long=text.FILE_TOO_LONG,
        failed=text.FILE_FAILED,
        busy=text.FILE_SENDING,
        on_done=on_done,
    )


def kept() -> rx.Component:
    """The time when the draft was stored."""
    return KeptGuide.create(at=EditorState.kept_at, message=text.DRAFT_KEPT)
