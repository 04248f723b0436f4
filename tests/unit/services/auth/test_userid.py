"""Which user a name and a realm mean, in every spelling of the name."""

from __future__ import annotations

import pytest

from lxc_dashboard.services.auth.sign_in import userid_of


@pytest.mark.parametrize(
    ("user", "realm", "userid"),
    [
        (" root ", "pam", "root@pam"),
        ("root@pam", "pam", "root@pam"),
        ("root@pam ", "pve", "root@pam"),
        ("ann@pve", "pam", "ann@pve"),
        ("ann@corp", "corp", "ann@corp"),
        ("ann@corp", "pam", "ann@corp@pam"),
        ("ann@example.com", "ldap", "ann@example.com@ldap"),
        ("ann@example.com@ldap", "ldap", "ann@example.com@ldap"),
        ("x@pam@pam", "pam", "x@pam@pam"),
        ("root@PAM", "pam", "root@PAM@pam"),
        ("@pam", "pam", "@pam@pam"),
        ("", "pam", "@pam"),
        ("root", "", "root@"),
    ],
)
def test_a_realm_behind_the_name_is_taken_where_it_can_be_nothing_else(user: str, realm: str, userid: str) -> None:
    assert userid_of(user, realm) == userid
