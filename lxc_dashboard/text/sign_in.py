"""Texts of the sign-in page."""

from __future__ import annotations

from typing import Final

SIGN_IN_TITLE: Final = "Sign in"
SIGN_IN_LEAD: Final = "Use your Proxmox VE account"
ENDPOINT: Final = "Endpoint"
USER: Final = "User"
PASSWORD: Final = "Password"  # noqa: S105 a label
REALM: Final = "Realm"
SIGN_IN: Final = "Sign in"
SECOND_FACTOR_TITLE: Final = "Second factor"
SECOND_FACTOR_LEAD: Final = "{userid} asks for a second factor"
TFA_KIND: Final = "Kind"
TFA_CODE: Final = "Code"
TFA_KINDS: Final = {
    "totp": "Code of an authenticator app",
    "recovery": "Recovery key",
    "yubico": "Yubico one-time password",
}
TFA_UNSUPPORTED: Final = "This second factor works on PVE's own page only. Add an authenticator app in PVE."
CONTINUE: Final = "Continue"
START_AGAIN: Final = "Start again"
NO_ENDPOINT: Final = "No Proxmox VE endpoint is registered. Set PVE_HOST, or run: lxc-dashboard node add"
PVE_FAILED: Final = (
    "PVE could not process the sign-in. An administrator finds the cause in the log by reference {reference}"
)
REALMS_UNKNOWN: Final = "The realms of {endpoint} cannot be read now: {reason}"
SIGN_IN_ELSEWHERE: Final = (
    "You are signed in as {userid} at {endpoint}. Signing in here ends that session. Its unfinished jobs wait until you "
    "sign in there again"
)
TFA_EXPIRED: Final = "The second factor timed out. Sign in again"
BODY_TOO_SLOW: Final = "The form did not arrive in time. Send it again"
WRONG_ADDRESS: Final = "This form did not come from {address}, the dashboard's address. Open it there"
WRONG_ORIGIN: Final = "This form did not come from this site. Open the sign-in page again"
NEEDS_TLS: Final = (
    "This address is plain http, where browsers do not keep the session cookie. Put a proxy with TLS in front of the "
    "dashboard and set PUBLIC_URL to its https address, or use http://localhost."
)
USER_MISSING: Final = "Enter the user name"
PASSWORD_MISSING: Final = "Enter the password"  # noqa: S105 a message
CODE_MISSING: Final = "Enter the code"
REALM_PAM: Final = "Linux PAM"
REALM_PVE: Final = "Proxmox VE authentication server"
ENDPOINT_UNKNOWN: Final = "This endpoint is not registered"
