"""The page of the template editor: one module for each part of a template."""

from __future__ import annotations

from lxc_dashboard.pages.templates.editor import page

__all__ = ["page"]
