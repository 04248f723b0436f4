"""The sandbox, a runtime over it and sessions of its users, as the monitor's tests have them."""

from tests.integration.monitor.conftest import rt, sandbox, sign_in

__all__ = ["rt", "sandbox", "sign_in"]
