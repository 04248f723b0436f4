"""All that is wrong with the parts of a template, told at once: who mends one must not wait for the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from lxc_dashboard.errors import TemplateError

MAX_FAULTS: Final = 10


@dataclass(slots=True)
class Faults:
    """Of parts that are read one after the other."""

    found: list[TemplateError] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Around the reading of one part, whose refusal is kept. Raises ``TemplateError`` where there are enough."""
        try:
            yield
        except TemplateError as error:
            self.found.append(error)
            if len(self.found) == MAX_FAULTS:
                self.refuse()

    def refuse(self) -> None:
        """Raises ``TemplateError`` for the first one, which tells of the others too; nothing where there is none."""
        if not self.found:
            return
        first, *others = self.found
        raise TemplateError(first.file, first.line, "; ".join([first.message, *(f"also {other}" for other in others)]))
