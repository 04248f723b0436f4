from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.content import parse_script
from lxc_dashboard.services.templates.model import Script, script_order
from lxc_dashboard.text import in_words_of


def script(text: str) -> Script:
    return parse_script("10-x.sh", 3, text.encode(), "s/10-x.sh")[0]


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("#!/bin/bash\n# Installs it\n# and more\n", "Installs it"),
        ("#!/bin/bash\n#\n# =====\n## Installs it ##\n", "Installs it ##"),
        ("# shellcheck disable=SC1091\n# Installs it\n", "Installs it"),
        ("# timeout: 5\n# optional: no\nset -e\n  # Installs it\n", "Installs it"),
        ("#!/bin/bash\ntrue # no description\n", ""),
        ("\n" * 20 + "# too late\n", ""),
        ("", ""),
    ],
)
def test_the_first_comment_describes_the_script(text: str, description: str) -> None:
    assert script(text).description == description


@pytest.mark.parametrize(
    ("text", "timeout_s", "optional"),
    [
        ("", 1800, False),
        ("#!/bin/sh\n#timeout:60\n#   OPTIONAL : Yes\n", 60, True),
        ("# optional: false\n", 1800, False),
        ("echo '# optional: yes'\n", 1800, False),
        ("true # timeout: 5\n", 1800, False),
        ("\n" * 20 + "# timeout: 5\n", 1800, False),
        ("# Optional: installs the extras\n# timeout: see below\n", 1800, False),
        ("cat >/etc/x.conf <<'EOF'\n# timeout: 5\n# optional: yes\nEOF\n", 1800, False),
        ("cat <<-EOF\n# timeout: 5\nEOF\n", 1800, False),
        ("# written with << EOF\n# timeout: 5\n", 5, False),
        ('read -r a <<<"$b"\n# timeout: 5\n', 5, False),
        ("echo $((1 << 4))\n# timeout: 5\n", 5, False),
    ],
)
def test_header_comments_set_timeout_and_optional(text: str, timeout_s: int, optional: bool) -> None:
    read = script(text)
    assert (read.timeout_s, read.optional, read.enabled) == (timeout_s, optional, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("# timeout: soon", "not 'soon'"),
        ("# timeout: 0", "timeout is a whole number of seconds from 1 to 86400, not '0'"),
        ("# Timeout: 10m", "not '10m'"),
        ("# timeout: 86401", "not '86401'"),
        ("# Optional: nginx", "optional is yes or no, not 'nginx'"),
    ],
)
def test_a_comment_that_only_looks_like_a_setting_is_told_and_refuses_nothing(line: str, said: str) -> None:
    read, warnings = parse_script("10-x.sh", 0, f"#!/bin/bash\n{line}\n".encode(), "s/10-x.sh")
    assert (read.timeout_s, read.optional) == (1800, False)
    assert [(w.file, w.line) for w in warnings] == [("s/10-x.sh", 2)]
    assert said in in_words_of(warnings[0].message)
    assert "sets nothing" in in_words_of(warnings[0].message)


def test_crlf_and_bom_are_taken_off_and_said() -> None:
    read, warnings = parse_script("x.sh", 0, b"\xef\xbb\xbf#!/bin/bash\r\ntrue\r\n", "s/x.sh")
    assert read.content == "#!/bin/bash\ntrue\n"
    assert "CRLF" in in_words_of(warnings[0].message)


def test_an_empty_script_is_said() -> None:
    assert "is empty" in in_words_of(parse_script("x.sh", 0, b" \n", "s/x.sh")[1][0].message)


@given(st.binary(max_size=100) | st.text("#! \n\ttimeoutpnal:yes05", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read, _ = parse_script("x.sh", 0, data, "s/x.sh")
    except TemplateError as error:
        assert error.file == "s/x.sh"  # noqa: PT017 - most bytes are fine
        return
    assert 1 <= read.timeout_s <= 86_400


@given(st.lists(st.from_regex(r"[0-9]{0,3}[-a-zA-Zé]{1,4}\.sh", fullmatch=True), unique=True))
def test_numbered_scripts_come_first_in_the_order_of_their_numbers(names: list[str]) -> None:
    ordered = sorted(names, key=script_order)
    numbers = [
        int("".join(c for c in name[:3] if c.isascii() and c.isdigit())) for name in ordered if name[0].isdigit()
    ]
    assert numbers == sorted(numbers)
    assert [name[0].isdigit() for name in ordered] == sorted((name[0].isdigit() for name in names), reverse=True)
