"""The list of containers, and the console of one."""

from __future__ import annotations

from lxc_dashboard.pages.containers import console, container_list

__all__ = ["console", "container_list"]
