"""The kinds of jobs: the interface that the engine calls, and the registry by name."""

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
    """A part of a job that may be started again at any time.

    ``begins``: the event at its start, without parameters. ``band``: its percentages of the whole job.
    """

    name: str
    work: Callable[[R], Awaitable[None]]
    begins: EventCode
    band: tuple[int, int] = (0, 100)


@dataclass(frozen=True, slots=True)
class Left:
    """What a cancelled job leaves behind.

    ``remains``: PVE has a guest, as far as is known. ``owes``: something still runs, to be stopped once PVE and the
    guest answer. ``note``: what became of its task in PVE, for its last event. ``reason``: why PVE could not be asked.
    """

    remains: bool = True
    owes: bool = False
    note: EventCode | None = None
    reason: Message | str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How a job ends. ``message``: its last event. ``result``: what a successful job found or made.

    ``error`` of a failed or cancelled job: ``{"message", "remedy", "phase", "step", "tail"}``. A reason of the product
    has ``code`` and ``params`` instead of ``message``.
    """

    state: JobState
    message: Message
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    left: Left = Left()


class StandstillError(Exception):
    """The job releases its lease and stops for now. ``state``: queued for its turn, or paused by its user.

    ``None``: the state is stored already.
    """

    def __init__(self, state: JobState | None = None) -> None:
        super().__init__(state)
        self.state = state


class BeginAgainError(Exception):
    """The job is about another guest now, so it must be opened again. Does not leave the engine."""


class Kind(ABC, Generic[R]):
    """One kind of job. ``name`` is stored in the row; ``action`` is the prefix of its actions in the audit.

    ``patience_s``: how long a step without progress is tried again.
    """

    name: str
    action: str
    patience_s: float
    steps: tuple[Step[R], ...]

    @abstractmethod
    async def open(self, rt: Runtime, job: Job, recorder: Recorder) -> R:
        """Prepare the run of a job whose lease is held. Raises ``SessionExpiredError`` if it requires a new sign-in."""

    async def close(self, run: R) -> None:
        """Release what ``open`` took."""

    async def locate(self, run: R) -> None:
        """Find the guest before a step is tried. Raises the errors of PVE."""

    async def examine(self, run: R, error: DashboardError) -> None:
        """Raise if another try of the step cannot succeed after the retryable ``error``."""

    @abstractmethod
    async def stop(self, run: R) -> Left:
        """Stop what a cancelled job has running. Raises the errors of PVE."""

    @abstractmethod
    def stop_without_pve(self, recorder: Recorder, error: DashboardError) -> Left:
        """What a cancelled job may still have running, because PVE could not be asked to stop it."""

    async def end_idle(self, rt: Runtime, job: Job) -> bool:
        """End a cancelling job without a worker. False if something may be running, or a worker holds the job."""
        del rt, job
        return False

    @abstractmethod
    async def explain(self, run: R | None, recorder: Recorder, error: BaseException) -> tuple[BaseException, bool]:
        """The error to show to the user, and whether PVE has the guest."""

    @abstractmethod
    def done(self, run: R) -> End:
        """The end of a job whose steps are all done."""

    @abstractmethod
    def cancelled(self, by: str, recorder: Recorder, left: Left) -> Message:
        """The last event of a cancelled job."""

    async def record(self, tx: Transaction, job: Job, end: End, run: R | None, recorder: Recorder) -> None:
        """Store more in the transaction that ends the job."""


_KINDS: Final[dict[str, Kind[Any]]] = {}


def register(kind: Kind[Any]) -> None:
    """Register a kind for the engine. Raises ``ValueError`` for a name that is taken."""
    if kind.name in _KINDS:
        raise ValueError(f"two kinds of jobs named {kind.name}")
    _KINDS[kind.name] = kind


def is_known(name: str) -> bool:
    """False for a kind of a newer version: its jobs wait for a worker that knows it."""
    return name in _KINDS


def known() -> frozenset[str]:
    return frozenset(_KINDS)


def kind_of(name: str) -> Kind[Any]:
    """Raises ``KeyError`` for a kind of a newer version, or one whose module was not imported."""
    return _KINDS[name]
