"""The pages of templates, their sources and their shared package lists."""

from __future__ import annotations

from lxc_dashboard.pages.templates import buckets, detail, editor, sources, template_list

__all__ = ["buckets", "detail", "editor", "sources", "template_list"]
