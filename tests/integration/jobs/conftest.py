"""The fixtures of the monitor's tests: the sandbox, a runtime and sessions of its users."""

from tests.integration.monitor.conftest import rt, sandbox, sign_in

__all__ = ["rt", "sandbox", "sign_in"]
