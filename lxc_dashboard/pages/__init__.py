"""Every page of the product. A page exists once its module is imported here."""

from __future__ import annotations

from lxc_dashboard.pages import containers, creation, jobs, monitor, not_found, sign_in, templates

__all__ = ["containers", "creation", "jobs", "monitor", "not_found", "sign_in", "templates"]
