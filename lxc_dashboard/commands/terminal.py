"""Output of commands: results to stdout, everything else to stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import structlog
from rich.console import Console

from lxc_dashboard.errors import DashboardError, InvalidInputError

T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine, with log lines from warning on."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    return asyncio.run(work)


def columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as columns without cutting them. The first row holds the titles."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out.print(line, markup=False, style="bold" if number == 0 else None)


def explain(error: DashboardError) -> None:
    """Print an error with its invalid fields or its detail."""
    err.print(f"[bold red]error:[/] {_escaped(error.user_message)}")
    if isinstance(error, InvalidInputError):
        for name, fault in error.fields.items():
            err.print(f"  [bold]{_escaped(name)}[/] {_escaped(fault)}")
    elif error.detail:
        err.print(f"  [dim]{_escaped(error.detail)}[/]")


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
