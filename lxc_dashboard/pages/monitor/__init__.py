"""The dashboard: nodes, and the jobs that need attention."""

from __future__ import annotations

from lxc_dashboard.pages.monitor import dashboard

__all__ = ["dashboard"]
