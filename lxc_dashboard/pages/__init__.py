"""Every page of the product. A page exists once its module is imported here."""

from __future__ import annotations

from lxc_dashboard.pages import (
    batch,
    buckets,
    console,
    containers,
    create,
    dashboard,
    editor,
    job,
    jobs,
    not_found,
    sign_in,
    sources,
    template,
    templates,
)

__all__ = [
    "batch",
    "buckets",
    "console",
    "containers",
    "create",
    "dashboard",
    "editor",
    "job",
    "jobs",
    "not_found",
    "sign_in",
    "sources",
    "template",
    "templates",
]
