"""The kinds of jobs: what the engine asks of each, and where it finds them by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.jobs.codes import EventCode, Message
from lxc_dashboard.services.jobs.engine.run import Run

if TYPE_CHECKING:
    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.errors import DashboardError
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.jobs.engine.recorder import Recorder

R = TypeVar("R", bound=Run)


@dataclass(frozen=True, slots=True)
class Step(Generic[R]):
    """A part of a job that may be begun again at any time. ``begins``: told when it does; it has no parameters.

    ``band``: its percentages of the whole job.
    """

    name: str
    work: Callable[[R], Awaitable[None]]
    begins: EventCode
    band: tuple[int, int] = (0, 100)


@dataclass(frozen=True, slots=True)
class Left:
    """What a cancelled job leaves. ``remains``: a guest in PVE, as far as is known. ``owes``: something goes on that can be
    ended once PVE and the guest answer. ``note``: what became of its task in PVE, for its last event; ``reason``: why PVE
    could not be asked.
    """

    remains: bool = True
    owes: bool = False
    note: EventCode | None = None
    reason: Message | str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How a job ends. ``message`` is its last event; ``result`` is what a job that is done found or made.

    ``error``: ``{"message", "remedy", "phase", "step", "tail"}`` of one that failed or was cancelled. Instead of a
    ``message`` from an exception it has ``code`` and ``params``.
    """

    state: JobState
    message: Message
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    left: Left = Left()


class StandstillError(Exception):
    """The job gives its lease back and ends for now. ``state``: queued by others' turn, or paused by its user.

    ``None``: that was stored already.
    """

    def __init__(self, state: JobState | None = None) -> None:
        super().__init__(state)
        self.state = state


class BeginAgainError(Exception):
    """The job is about another guest now: it is to be opened anew. Never leaves the engine."""


class Kind(ABC, Generic[R]):
    """One kind of job. ``name`` stands in the row; ``action`` begins the names of its audit entries.

    ``patience_s``: how long a step that gets nowhere is tried again.
    """

    name: str
    action: str
    patience_s: float
    steps: tuple[Step[R], ...]

    @abstractmethod
    async def open(self, rt: Runtime, job: Job, recorder: Recorder) -> R:
        """The run of a job whose lease is held. Raises ``SessionExpiredError`` where it needs a sign-in."""

    async def close(self, run: R) -> None:
        """Give back what ``open`` took."""

    async def locate(self, run: R) -> None:
        """Find the guest before a step is tried. Raises what PVE says."""

    async def examine(self, run: R, error: DashboardError) -> None:
        """Raise where a step that may be tried again cannot succeed."""

    @abstractmethod
    async def stop(self, run: R) -> Left:
        """End what a cancelled job has under way. Raises what PVE says."""

    @abstractmethod
    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        """Tell what a cancelled job may have under way that nobody can end."""

    async def end_idle(self, rt: Runtime, job: Job) -> bool:
        """End a job that was asked to cancel without a worker. False where something may be under way, or a worker has it."""
        del rt, job
        return False

    @abstractmethod
    async def explain(self, run: R | None, recorder: Recorder, error: BaseException) -> tuple[BaseException, bool]:
        """The error to show to the user, and whether PVE has the guest."""

    @abstractmethod
    def done(self, run: R) -> End:
        """What a job whose steps are all done leaves."""

    @abstractmethod
    def cancelled(self, by: str, recorder: Recorder, left: Left) -> Message:
        """The last event of a cancelled job."""

    async def record(self, tx: Transaction, job: Job, end: End, run: R | None, recorder: Recorder) -> None:
        """What else is stored in the transaction that ends the job."""


_KINDS: Final[dict[str, Kind[Any]]] = {}


def register(kind: Kind[Any]) -> None:
    """Make the engine know a kind. Raises ``ValueError`` for a name that is taken."""
    if kind.name in _KINDS:
        raise ValueError(f"two kinds of jobs named {kind.name}")
    _KINDS[kind.name] = kind


def is_known(name: str) -> bool:
    """False for a kind of a newer version: its jobs wait for a worker that knows it."""
    return name in _KINDS


def known() -> frozenset[str]:
    return frozenset(_KINDS)


def kind_of(name: str) -> Kind[Any]:
    """Raises ``KeyError`` for a kind of a newer version, or one whose module nobody imported."""
    return _KINDS[name]
