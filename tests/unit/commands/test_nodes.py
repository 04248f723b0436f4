"""Which API token ids ``node add`` accepts."""

from __future__ import annotations

import pytest

from lxc_dashboard.commands import nodes
from lxc_dashboard.errors import InvalidInputError


@pytest.mark.parametrize("tokenid", ["root@pam!ci", "ann@example.com@oidc!ci", "a!b@pve!ci", "auth0|a=1;b,c@oidc!ci"])
def test_a_token_of_a_user_of_whatever_name_is_taken(tokenid: str) -> None:
    with pytest.raises(InvalidInputError) as half:
        nodes._check_token(nodes.Token(tokenid, None), None)
    assert set(half.value.fields) == {"--token-secret-file"}
    nodes._check_token(nodes.Token(tokenid, None), "secret")


@pytest.mark.parametrize("tokenid", ["", "root@pam", "ci!x", "root@pam!", "a b@pve!ci", "root@pam!c i"])
def test_what_names_no_token_is_refused(tokenid: str) -> None:
    with pytest.raises(InvalidInputError) as wrong:
        nodes._check_token(nodes.Token(tokenid, None), "secret")
    assert set(wrong.value.fields) == {"--tokenid"}
