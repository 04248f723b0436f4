"""What ``bucket_guide.js`` adds to the form of a bucket."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.components.component import field

from lxc_dashboard.components.scripts import script

_BUCKET_GUIDE = script(__name__, "bucket_guide.js")


class BucketGuide(rx.Component):
    """Shows nothing."""

    library = _BUCKET_GUIDE
    tag = "BucketGuide"

    form: rx.Var[str] = field()
    title: rx.Var[str] = field()
    opened: rx.Var[str] = field()
    refusals: rx.Var[int] = field()
    unsaved: rx.Var[bool] = field()


def bucket_guide(form: str, *, title: str, opened: Any, refusals: Any, unsaved: Any) -> rx.Component:
    """Ctrl-S saves ``form`` (its id); each new count of ``refusals`` leads to what is wrong; ``unsaved`` asks before leaving.

    Where the list gave way to the bucket ``opened``, its ``title`` (an id) takes the focus.
    """
    return BucketGuide.create(form=form, title=title, opened=opened, refusals=refusals, unsaved=unsaved)
