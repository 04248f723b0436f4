"""The difference between two texts, line by line, in bounded time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

CONTEXT_LINES: Final = 3
MAX_LINES_OF_TEXT: Final = 2_000
MAX_LINES_IN_ALL: Final = 20_000
MAX_READ_LINES: Final = 500_000
MAX_DEPTH: Final = 50
MAX_COMPARED_AT_ONCE: Final = 2_500
MAX_COMPARED_IN_ALL: Final = 1_000_000

Pair = tuple[int, int]


class LineKind(StrEnum):
    """``gap``: equal lines that are left out."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Line:
    """``old``, ``new``: the line's numbers in the two texts, from 1; 0 where it is not in that text."""

    kind: LineKind
    old: int
    new: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class TextDiff:
    """A unified diff. ``added`` and ``removed`` count all lines; ``cut``: ``lines`` holds only a part of them."""

    lines: tuple[Line, ...] = ()
    added: int = 0
    removed: int = 0
    cut: bool = False


class LineDiffer:
    """Compares texts at a bounded total cost. Beyond the bound, changed lines are shown in larger blocks."""

    def __init__(self) -> None:
        self._readable = MAX_READ_LINES
        self._comparable = MAX_COMPARED_IN_ALL
        self._shown = MAX_LINES_IN_ALL

    def compare(self, old: str, new: str) -> TextDiff:
        a, b = _lines(old), _lines(new)
        self._readable -= len(a) + len(b)
        pairs = [*self._matches(a, b)] if self._readable >= 0 else []
        limit = min(MAX_LINES_OF_TEXT, self._shown)
        lines: list[Line] = []
        cut = False
        for line in _unified(a, b, pairs):
            if len(lines) >= limit:
                cut = True
                break
            lines.append(line)
        self._shown -= len(lines)
        return TextDiff(tuple(lines), len(b) - len(pairs), len(a) - len(pairs), cut)

    def _matches(self, a: Sequence[str], b: Sequence[str], at: Pair = (0, 0), depth: int = 0) -> Iterator[Pair]:
        """Pairs of positions of equal lines, in order: the common head and tail, and runs around lines unique in both."""
        start = 0
        while start < min(len(a), len(b)) and a[start] == b[start]:
            yield at[0] + start, at[1] + start
            start += 1
        end = 0
        while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
            end += 1
        middle = a[start : len(a) - end], b[start : len(b) - end]
        yield from self._within(*middle, (at[0] + start, at[1] + start), depth)
        for back in range(end, 0, -1):
            yield at[0] + len(a) - back, at[1] + len(b) - back

    def _within(self, a: Sequence[str], b: Sequence[str], at: Pair, depth: int) -> Iterator[Pair]:
        anchors = _anchors(a, b) if depth < MAX_DEPTH else []
        if not anchors:
            yield from self._small(a, b, at)
            return
        i, j = 0, 0
        for x, y in [*anchors, (len(a), len(b))]:
            yield from self._matches(a[i:x], b[j:y], (at[0] + i, at[1] + j), depth + 1)
            if x < len(a):
                yield at[0] + x, at[1] + y
            i, j = x + 1, y + 1

    def _small(self, a: Sequence[str], b: Sequence[str], at: Pair) -> Iterator[Pair]:
        cost = len(a) * len(b)
        if cost > min(MAX_COMPARED_AT_ONCE, self._comparable):
            return
        self._comparable -= cost
        for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
            for step in range(block.size):
                yield at[0] + block.a + step, at[1] + block.b + step


def increasing(numbers: Sequence[int]) -> list[int]:
    """The indexes of a longest increasing subsequence of ``numbers``."""
    ends: list[int] = []
    tails: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_left(tails, number)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [number]
        ends[length : length + 1] = [place]
    chain = []
    place = ends[-1] if ends else -1
    while place >= 0:
        chain.append(place)
        place = before[place]
    return chain[::-1]


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[Pair]:
    """Pairs of positions of lines that are unique in both texts: the most pairs that are in the same order."""
    once_in_a, once_in_b = Counter(a), Counter(b)
    places = {line: place for place, line in enumerate(b) if once_in_b[line] == 1}
    pairs = [(place, places[line]) for place, line in enumerate(a) if once_in_a[line] == 1 and line in places]
    return [pairs[place] for place in increasing([y for _, y in pairs])]


def _blocks(pairs: Sequence[Pair], ends: Pair) -> Iterator[tuple[Pair, Pair]]:
    """The changed ranges between the equal lines, as their begin and end in both texts."""
    i, j = 0, 0
    for x, y in [*pairs, ends]:
        if x > i or y > j:
            yield (i, j), (x, y)
        i, j = x + 1, y + 1


def _unified(a: Sequence[str], b: Sequence[str], pairs: Sequence[Pair]) -> Iterator[Line]:
    """Removed lines before added ones, with context lines around them."""
    done = (0, 0)
    for begin, end in _blocks(pairs, (len(a), len(b))):
        yield from _between(a, done, begin, head=CONTEXT_LINES if done > (0, 0) else 0, tail=CONTEXT_LINES)
        yield from (Line(LineKind.REMOVED, place + 1, 0, a[place]) for place in range(begin[0], end[0]))
        yield from (Line(LineKind.ADDED, 0, place + 1, b[place]) for place in range(begin[1], end[1]))
        done = end
    if done > (0, 0):
        yield from _between(a, done, (len(a), len(b)), head=CONTEXT_LINES, tail=0)


def _between(a: Sequence[str], begin: Pair, end: Pair, *, head: int, tail: int) -> Iterator[Line]:
    """Equal lines: the first ``head``, the last ``tail``, and a gap for those between."""
    count = end[0] - begin[0]
    for step in range(count):
        if head <= step < count - tail:
            if step == head:
                yield Line(LineKind.GAP, begin[0] + step + 1, begin[1] + step + 1)
            continue
        yield Line(LineKind.SAME, begin[0] + step + 1, begin[1] + step + 1, a[begin[0] + step])


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []
