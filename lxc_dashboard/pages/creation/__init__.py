"""The pages of creation: the wizard and a batch."""

from __future__ import annotations

from lxc_dashboard.pages.creation import batch, page

__all__ = ["batch", "page"]
