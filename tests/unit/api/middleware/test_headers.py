from __future__ import annotations

import re
from pathlib import Path

from lxc_dashboard.api.middleware.headers import content_security_policy, hash_of, inline_scripts, security_headers


def directives(policy: str) -> dict[str, str]:
    return dict(part.partition(" ")[::2] for part in policy.split("; "))


def test_only_the_builds_own_inline_scripts_may_run(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text("<script>one()</script><script src='/x.js'></script>")
    (tmp_path / "a" / "index.html").write_text('<script type="module" async="">two()\n</script><script>one()</script>')
    assert set(inline_scripts(tmp_path)) == {hash_of("one()"), hash_of("two()\n")}


def test_the_hash_is_what_browsers_compute() -> None:
    assert hash_of("alert('Hello, world.');") == "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"


def test_nothing_is_let_in_from_elsewhere() -> None:
    found = directives(content_security_policy(("'sha256-x'",), "localhost:3001", https=False))
    assert found["script-src"] == "'self' 'sha256-x'"
    assert found["connect-src"] == "'self' ws://localhost:3001"
    assert found["frame-ancestors"] == "'none'"
    assert "unsafe-eval" not in str(found)
    assert "unsafe-inline" not in found["script-src"]
    assert "*" not in str(found)


def test_a_host_that_is_none_does_not_reach_the_policy() -> None:
    policy = content_security_policy((), "evil.example; script-src *", https=True)
    assert "evil" not in policy
    assert directives(policy)["connect-src"] == "'self'"


def test_strict_transport_is_asked_for_under_tls_only() -> None:
    assert "Strict-Transport-Security" not in security_headers((), "localhost", https=False)
    secured = security_headers((), "localhost", https=True)
    assert re.fullmatch(r"max-age=\d{7,}", secured["Strict-Transport-Security"])
    assert secured["X-Frame-Options"] == "DENY"
    assert secured["X-Content-Type-Options"] == "nosniff"
    assert secured["Referrer-Policy"] == "same-origin"
