"""Finds secrets in plain text in a template. Findings never repeat the secret.

A text is a secret in three cases:

- Its format is unmistakable: a private key, or a known kind of token. In comments only this case counts.
- It is a literal that is assigned to a name for secrets.
- It is a literal too random for anything else.

Variables, command substitutions, paths and placeholders are no secrets.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Final

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import SecretCode

MAX_SCANNED_CHARS: Final = 512 << 10
MAX_LINE_CHARS: Final = 1_000
MAX_FOUND: Final = 20

_KEY_HEADER: Final = r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----"


def _form(what: SecretCode, hint: str, pattern: str) -> tuple[Message, str, re.Pattern[str]]:
    """``hint``: a substring of each match, which is fast to find."""
    return Message.of(what), hint, re.compile(pattern)


_UNMISTAKABLE: Final = (
    # The key follows the header; without it, the words are a search pattern.
    _form(
        SecretCode.PRIVATE_KEY,
        "PRIVATE KEY",
        _KEY_HEADER + r"(?:\\[nr]|[\s\"'+,]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n]*)*[A-Za-z0-9+/]{20}",
    ),
    _form(SecretCode.PRIVATE_KEY, "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    _form(SecretCode.PRIVATE_KEY, "PrivateKey", r"(?m)^[ \t]*PrivateKey\s*=\s*[A-Za-z0-9+/]{43}="),
    _form(SecretCode.SHARED_KEY, "PresharedKey", r"(?m)^[ \t]*PresharedKey\s*=\s*[A-Za-z0-9+/]{43}="),
    _form(SecretCode.AWS_KEY, "AKIA", r"\bAKIA(?![A-Z0-9]*EXAMPLE)[A-Z2-7]{16}\b"),
    _form(SecretCode.AWS_KEY, "ASIA", r"\bASIA(?![A-Z0-9]*EXAMPLE)[A-Z2-7]{16}\b"),
    _form(SecretCode.GITHUB_TOKEN, "gh", r"\bgh[oprsu]_[A-Za-z0-9]{36,255}\b"),
    _form(SecretCode.GITHUB_TOKEN, "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{40,255}\b"),
    _form(SecretCode.GITLAB_TOKEN, "gl", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent)-[A-Za-z0-9_\-.]{20,255}"),
    _form(SecretCode.SLACK_TOKEN, "xox", r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,255}"),
    _form(SecretCode.SLACK_TOKEN, "xapp-", r"\bxapp-[0-9]-[A-Za-z0-9-]{20,255}"),
    _form(SecretCode.SLACK_WEBHOOK, "hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/[A-Za-z0-9]{16,}"),
    _form(SecretCode.GOOGLE_KEY, "AIza", r"\bAIza[0-9A-Za-z_\-]{35}\b"),
    _form(SecretCode.STRIPE_KEY, "k_live_", r"\b[rs]k_live_[0-9A-Za-z]{20,255}\b"),
    _form(SecretCode.NPM_TOKEN, "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _form(SecretCode.PYPI_TOKEN, "pypi-AgE", r"\bpypi-AgE[A-Za-z0-9_\-]{50,}"),
    _form(SecretCode.DIGITALOCEAN_TOKEN, "_v1_", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    _form(SecretCode.SENDGRID_KEY, "SG.", r"\bSG\.[\w\-]{22}\.[\w\-]{43}\b"),
    _form(SecretCode.TELEGRAM_TOKEN, ":AA", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}\b"),
    _form(SecretCode.DOCKER_TOKEN, "dckr_", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_\-]{20,}"),
    _form(SecretCode.HUGGING_FACE_TOKEN, "hf_", r"\bhf_[A-Za-z0-9]{34}\b"),
    _form(SecretCode.TAILSCALE_KEY, "tskey-", r"\btskey-(?:auth|api|client)-[A-Za-z0-9]+-[A-Za-z0-9]{16,}"),
    _form(SecretCode.VAULT_TOKEN, "hv", r"\bhv[bs]\.[A-Za-z0-9_\-]{24,}"),
    _form(SecretCode.JSON_WEB_TOKEN, "eyJ", r"\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{20,}"),
    _form(
        SecretCode.PVE_TOKEN,
        "PVEAPIToken",
        r"PVEAPIToken=[^\s=]+![^\s=]+=[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    ),
)
# Only lines with one of these in lower case, or with a long word, are scanned.
_WORDS: Final = ("pass", "pwd", "secret", "token", "key", "cred", "auth", "salt", "hmac", "bearer", "://", "identified")
_WORDS_OF_COMMANDS: Final = ("curl ", "wget ")
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/_\-]{32}")

_PASSWORD_NAME: Final = re.compile(
    r"(?:.*[_.\-])?(?:\w*passw(?:or)?d|passphrase|pass|pwd|pw|(?:db|root|user|admin|my|sql)pass|requirepass|masterauth)[0-9]*",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(
    r".*(?:secret|token|api_?key|(?:access|private|secret|auth|encryption|signing|master|session)_?key|credentials?|hmac|bearer"
    r"|(?:^|[_.\-])salt)[0-9]*",
    re.IGNORECASE,
)
_KEY_NAME: Final = re.compile(r".*key[0-9]*", re.IGNORECASE)
# Values of these names are public.
_PUBLIC_NAME: Final = re.compile(
    r"(?:old)?pwd|.*(?:proxy|fastcgi|[us]cgi|uwsgi|grpc|memcached)_pass"
    r"|.*(?:pub|gpg|pgp|apt|finger|sha\d|md5|digest|sum|hash|commit|revision|uuid|integrity|host_?key|authorized|minisign|key_?id).*",
    re.IGNORECASE,
)

_NAME: Final = r"[A-Za-z_][\w.\-]{0,80}"
_QUOTED: Final = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'"
# name=value without blanks around the =: a shell's assignment, an option, a part of a connection string.
# The quotes of one assignment may contain another, so each match is a lookahead.
_TIGHT: Final = rf"(?:^|[\s;&|?,(\"'])-{{0,2}}(?=({_NAME})=({_QUOTED}|[^\s;&|\"'`)]+))"
# name = value and name: value, each on a line of its own.
_LINE: Final = rf"^\s*(?:-\s+)?[\"']?({_NAME})[\"']?\s*(?::\s+|\s=\s*|=\s+|:?=>\s*)({_QUOTED}|[^\s\"'][^\s]*?)[,;]?\s*$"
_ASSIGNMENTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        _TIGHT,
        _LINE,
        rf"[\"']({_NAME})[\"']\s*:\s*({_QUOTED})",
        rf"<({_NAME})>([^<>\s]+)</",
        rf"^\s*(requirepass|masterauth)\s+({_QUOTED}|\S+)\s*$",
        rf"\bsave_credential\s+\S+\s+({_NAME})\s+({_QUOTED}|[^\s;&|]+)",
    )
)
_PASSWORDS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:identified\s+by|password)\s*(?:=\s*)?(?:as\s+)?'([^']*)'",
        r"(?:^|[\"'\s])[a-z_][\w\-]*:([^\s\"':|]+)[\"']?\s*\|\s*(?:sudo\s+)?(?:/usr/sbin/)?chpasswd\b",
        r"\b(?:curl|wget)\s(?:[^|;&]{0,300}\s)?(?:-u|--user)[\s=]{0,3}[\"']?[^\s\"':]{1,80}:([^\s\"']{1,200})",
        rf"\bsshpass\s+-p\s*({_QUOTED}|\S+)",
        rf"\bhtpasswd\s+-\w*b\w*\s+\S+\s+\S+\s+({_QUOTED}|\S+)",
        r"\s-pass(?:in|out)?\s+[\"']?pass:([^\s\"']+)",
        r"\b[a-z][a-z0-9+.\-]{0,20}://[^\s/@:\"'<>]{1,80}:(?!(?:pass(?:word|wd)?|pwd?|secret|token)@)([^\s/@:\"'<>]{1,200})@[A-Za-z0-9\[$]",
    )
)

_COMMENT: Final = re.compile(r"\s*(?:#|;|//|--\s|\*|<!--)")
_DEFAULTED: Final = re.compile(r"\$\{[A-Za-z_]\w*:?[-=](.*)\}", re.DOTALL)
_COMPUTED: Final = re.compile(r"`|(?<!\\)\$[A-Za-z_@*#?0-9{(]")
_EXPRESSION: Final = re.compile(r"[()\[\]{}]")
_PLACEHOLDER: Final = re.compile(
    r"<.*>|\[.*\]|\{.*\}|@\w+@|%\w*%?|__\w+__|[x*.?#_\-]{3,}|.*(?:\{\{|\*{3}|\.\.\.).*|your[-_ ].*|.*example.*|.*placeholder.*"
    r"|none|null|undefined|true|false|default|required|optional|prompt|string|text|files|compat|disabled|enabled|auto|system|unset"
    r"|empty|always|never|dummy|redacted|(?:prohibit|without)-password",
    re.IGNORECASE,
)
_SHOUTED: Final = re.compile(r"[A-Z]+(?:[_-][A-Z]+)*")
_PATH: Final = re.compile(r"(?:~|\.{0,2})/[\w./\-@+~]*|(?:file|https?)://\S*", re.IGNORECASE)
_PUBLIC_VALUE: Final = re.compile(r"ssh-|ecdsa-|sk-ssh|AAAA[BCE]|sha\d+[-:]|md5:|0x[0-9A-F]{8,40}$", re.IGNORECASE)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RANDOM: Final = re.compile(r"[A-Za-z0-9+/_\-]{32,}={0,2}")
# In these languages an unquoted word is a variable, not a literal.
_LANGUAGES: Final = frozenset(
    {
        ".c",
        ".cs",
        ".go",
        ".java",
        ".js",
        ".jsx",
        ".lua",
        ".mjs",
        ".php",
        ".pl",
        ".pm",
        ".py",
        ".rb",
        ".rs",
        ".ts",
        ".tsx",
    }
)

_MIN_PASSWORD_CHARS: Final = 4
_MIN_SECRET_CHARS: Final = 8
_MIN_SECRET_BITS: Final = 2.8
_MIN_KEY_CHARS: Final = 24
_MIN_KEY_BITS: Final = 3.2
_MIN_RANDOM_BITS: Final = 4.4


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret in a text. ``line`` from 1; ``message``: its kind, without the value."""

    line: int
    message: Message


def find_secrets(text: str, file: str = "") -> tuple[Secret, ...]:
    """Find at most ``MAX_FOUND`` secrets, one a line. The suffix of ``file`` shows whether it is source code.

    Text beyond ``MAX_SCANNED_CHARS`` is not scanned.
    """
    text = text[:MAX_SCANNED_CHARS]
    newlines = [match.start() for match in re.finditer("\n", text)]
    found = {bisect_left(newlines, at) + 1: what for at, what in _by_themselves(text)}
    is_source = PurePosixPath(file).suffix.lower() in _LANGUAGES
    lines = text.split("\n")
    for number in _worth_a_look(text, newlines):
        if number not in found and len(lines[number - 1]) <= MAX_LINE_CHARS:
            what = _of_line(lines[number - 1], is_source=is_source)
            if what:
                found[number] = what
    return tuple(Secret(number, what) for number, what in sorted(found.items(), key=itemgetter(0))[:MAX_FOUND])


def _by_themselves(text: str) -> Iterator[tuple[int, Message]]:
    for what, hint, pattern in _UNMISTAKABLE:
        if hint in text:
            yield from ((match.start(), what) for match in pattern.finditer(text))


def _worth_a_look(text: str, newlines: list[int]) -> list[int]:
    """The numbers of the lines that may contain a secret."""
    lowered = text.lower() if text.isascii() else "".join(c.lower() if c.isascii() else c for c in text)
    numbers = {bisect_right(newlines, match.start()) + 1 for match in _LONG_WORD.finditer(text)}
    for word in (*_WORDS, *_WORDS_OF_COMMANDS):
        at = lowered.find(word)
        while at >= 0:
            line = bisect_right(newlines, at)
            numbers.add(line + 1)
            at = lowered.find(word, newlines[line]) if line < len(newlines) else -1
    return sorted(numbers)


def _of_line(line: str, *, is_source: bool) -> Message | None:
    """The kind of secret in the line."""
    if _COMMENT.match(line):
        return None
    for pattern in _PASSWORDS:
        if any(_is_literal(match.group(1), _MIN_PASSWORD_CHARS) for match in pattern.finditer(line)):
            return Message.of(SecretCode.PASSWORD)
    for pattern in _ASSIGNMENTS:
        for name, value in pattern.findall(line):
            if is_source and not value.startswith(('"', "'")):
                continue
            what = _of_assignment(name, value)
            if what:
                return what
    return None


def _of_assignment(name: str, value: str) -> Message | None:
    if _PUBLIC_NAME.fullmatch(name) or _bare(value).lower() == name.lower():
        return None
    if _PASSWORD_NAME.fullmatch(name):
        return Message.of(SecretCode.PASSWORD) if _is_literal(value, _MIN_PASSWORD_CHARS) else None
    if _SECRET_NAME.fullmatch(name):
        is_secret = _is_literal(value, _MIN_SECRET_CHARS) and _is_mixed(value, _MIN_SECRET_BITS)
        return Message.of(SecretCode.SECRET) if is_secret else None
    if _KEY_NAME.fullmatch(name):
        is_key = _is_literal(value, _MIN_KEY_CHARS) and _is_mixed(value, _MIN_KEY_BITS)
        return Message.of(SecretCode.KEY) if is_key else None
    return Message.of(SecretCode.RANDOM_VALUE) if _is_random(_bare(value)) else None


def _is_literal(value: str, least_chars: int) -> bool:
    """Whether the value is a literal: no variable, command, placeholder, path or sentence."""
    bare = _bare(value)
    defaulted = _DEFAULTED.fullmatch(bare)
    if defaulted:
        return _is_literal(defaulted.group(1), least_chars)
    if len(bare) < least_chars or re.search(r"\s", bare) or _COMPUTED.search(bare):
        return False
    if bare == value and _EXPRESSION.search(bare):
        return False
    return not (
        _PLACEHOLDER.fullmatch(bare) or _SHOUTED.fullmatch(bare) or _PATH.fullmatch(bare) or _PUBLIC_VALUE.match(bare)
    )


def _bare(value: str) -> str:
    """The value without surrounding quotes."""
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        return value[1:-1]
    return value


def _is_mixed(value: str, least_bits: float) -> bool:
    bare = _bare(value)
    return bool(re.search(r"[0-9]", bare) and re.search(r"[A-Za-z]", bare)) and _bits(bare) >= least_bits


def _is_random(value: str) -> bool:
    if not _RANDOM.fullmatch(value) or _UUID.fullmatch(value) or _PATH.fullmatch(value) or _PUBLIC_VALUE.match(value):
        return False
    kinds = (re.search(kind, value) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    return all(kinds) and value.count("/") * 16 <= len(value) and _bits(value) >= _MIN_RANDOM_BITS


def _bits(value: str) -> float:
    """Shannon entropy in bits a character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
