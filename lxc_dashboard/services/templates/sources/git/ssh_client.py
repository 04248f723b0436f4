"""The client for repositories over SSH. It is a separate module, so that other readers do not load paramiko."""

from __future__ import annotations

from typing import Any

from dulwich.client import SSHGitClient, SSHVendor

from lxc_dashboard.errors import GuestUnreachableError, SourceError
from lxc_dashboard.guest.connection import SshAddress, SshPipe
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.git import network
from lxc_dashboard.services.templates.sources.git.address import PORTS, SSH_USER, GitAddress
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.reader_process import GitRequest
from lxc_dashboard.services.templates.sources.git.transport import MAX_ANSWER_BYTES, Budget


class SshClient(SSHGitClient):
    """``git-upload-pack`` over SSH with a pinned host key."""

    def __init__(self, address: GitAddress, request: GitRequest) -> None:
        super().__init__(address.host, address.port, address.user, vendor=_Vendor(request), quiet=True)


class _Vendor(SSHVendor):
    def __init__(self, request: GitRequest) -> None:
        self._request = request

    def run_command(  # type: ignore[override] # what the library takes for a process is our pipe
        self, host: str, command: bytes, username: str | None = None, port: int | None = None, **_: Any
    ) -> BoundedPipe:
        at = port or PORTS["ssh"]
        fault: GuestUnreachableError | None = None
        for checked in network.resolve(host, at, allow_local=self._request.allow_local):
            address = SshAddress(checked, at, username or SSH_USER, self._request.host_key, self._request.private_key)
            try:
                return BoundedPipe(address, command)
            except GuestUnreachableError as error:
                fault = error
        raise SourceError(Message.of(GitCode.HOST_UNREACHED, host=host, port=at)) from fault


class BoundedPipe(SshPipe):
    def __init__(self, address: SshAddress, command: bytes) -> None:
        super().__init__(address, command)
        self._budget = Budget(MAX_ANSWER_BYTES)

    def read(self, size: int) -> bytes:
        return self._budget.spend(super().read(size))
