"""The list of jobs, and the page of one."""

from __future__ import annotations

from lxc_dashboard.pages.jobs import job, job_list

__all__ = ["job", "job_list"]
