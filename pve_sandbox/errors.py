"""Every error that the sandbox raises.

SandboxError
├ NotFoundError  ConflictError  InvalidInputError
└ GuestError: CommandFailedError(exit_status)
"""

from __future__ import annotations

OUTPUT_TAIL_CHARS = 2_000


class SandboxError(Exception):
    """Base of all. ``message`` goes to the caller, ``detail`` is for the log."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        self.message = message
        self.detail = detail
        super().__init__(f"{message}: {detail}" if detail else message)


class NotFoundError(SandboxError):
    """There is no guest with this vmid."""


class ConflictError(SandboxError):
    """The guest exists already, or another sandbox uses the data folder."""


class InvalidInputError(SandboxError):
    """An argument has a value that is not allowed."""


class GuestError(SandboxError):
    """A guest, its base or its host failed, or this machine does not allow it."""


class CommandFailedError(GuestError):
    """A command in a guest ended with a status other than 0. ``detail`` is the end of its output."""

    def __init__(self, command: str, exit_status: int, output: str = "") -> None:
        self.command = command
        self.exit_status = exit_status
        super().__init__(f"{command} ended with status {exit_status}", detail=output[-OUTPUT_TAIL_CHARS:])
