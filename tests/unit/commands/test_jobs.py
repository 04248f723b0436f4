"""How ``lxc-dashboard create`` reads its command line, and what it never sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lxc_dashboard.commands import jobs
from lxc_dashboard.commands.api_client import Status, token_of, url_of
from lxc_dashboard.commands.jobs import CreateOptions, body_of
from lxc_dashboard.errors import DashboardError, InvalidInputError, ServiceUnavailableError

TOKEN = "ci@pve!builds=01a20ac9-09fe-7108-a38a-673353762100"


def options(**changes: object) -> CreateOptions:
    return CreateOptions(**{"url": "http://localhost:3001", "token": TOKEN, **changes})  # type: ignore[arg-type]  # by name


def test_fields_are_text_but_for_lists_and_objects() -> None:
    chosen = options(template="web", node="pve2", fields=("cores=2", "hostname=a=b", 'tags=["x"]', "description="))
    assert body_of(chosen) == {
        "template": "web",
        "node": "pve2",
        "cores": "2",
        "hostname": "a=b",
        "tags": ["x"],
        "description": "",
    }


@pytest.mark.parametrize("fields", ["cores", "=2", "mounts=[{", "password=Secret-1"])
def test_a_field_that_cannot_be_meant_is_refused_without_its_secret(fields: str) -> None:
    with pytest.raises(InvalidInputError) as wrong:
        body_of(options(fields=(fields,)))
    assert set(wrong.value.fields) == {"--set"}
    assert "Secret-1" not in str(wrong.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_cas_that_cannot_be_read_are_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(InvalidInputError) as wrong:
        jobs.create(options())
    assert set(wrong.value.fields) == {"SSL_CERT_FILE"}


def test_the_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" with spaces \n", encoding="utf-8")
    assert body_of(options(password_file=str(file))) == {"password": " with spaces "}
    with pytest.raises(InvalidInputError, match="cannot be read"):
        body_of(options(password_file=str(tmp_path / "none")))


@pytest.mark.parametrize("given", [TOKEN, f"PVEAPIToken={TOKEN}", f" {TOKEN}\n"])
def test_a_token_is_taken_as_pve_shows_it_or_as_its_header(given: str) -> None:
    assert token_of(options(token=given)) == TOKEN


@pytest.mark.parametrize("userid", ["a!b@pve", "ann@example.com@oidc", "auth0|a=1;b,c@oidc"])
def test_a_users_name_may_hold_what_parts_it_from_the_tokens(userid: str) -> None:
    assert token_of(options(token=f"{userid}!ci=1")) == f"{userid}!ci=1"


@pytest.mark.parametrize("given", ["", "ci@pve", "ci!builds=x", "ci@pve!builds", "ci@pve!b=x\ny", "ci@pve!b=\u00e9"])
def test_what_is_no_token_is_refused_unseen(given: str) -> None:
    with pytest.raises(InvalidInputError) as wrong:
        token_of(options(token=given))
    assert set(wrong.value.fields) == {"PVE_API_TOKEN"}
    assert not given or given not in str(wrong.value)


def test_a_file_comes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN.replace("builds", "other"), encoding="utf-8")
    assert "other" in token_of(options(token_file=str(file)))


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(options())


@pytest.mark.parametrize(
    "url", ["https://dashboard.example", "http://localhost:3001/", "http://127.0.0.1", "http://[::1]:1"]
)
def test_tls_or_this_very_machine_is_asked(url: str) -> None:
    assert url_of(options(url=url)) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://dashboard.example",
        "http://localhost.example",
        "dashboard.example",
        "ftp://x",
        "",
        "https://x:port",
        "https://[::1",
        "https://\0",
    ],
)
def test_nothing_else_gets_the_token(url: str) -> None:
    with pytest.raises(InvalidInputError) as wrong:
        url_of(options(url=url))
    assert set(wrong.value.fields) == {"--url"}


def test_plain_http_elsewhere_is_for_who_asks_for_it() -> None:
    assert url_of(options(url="http://dashboard.example", plain_http=True)) == "http://dashboard.example"


def test_a_dashboard_that_is_away_is_told_by_its_address() -> None:
    with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
        jobs.create(options(url="http://127.0.0.1:9"))


MADE: dict[str, object] = {
    "id": "01a20ac9-09fe-7108-a38a-673353762100",
    "vmid": 105,
    "hostname": "web",
    "node": "pve1",
    "state": "queued",
}
LOG: list[dict[str, object]] = [
    {"type": "line", "seq": 1, "text": "first"},
    {"type": "line", "seq": 2, "text": "second"},
    {"type": "end", "state": "failed", "message": ""},
]


class Failing(BaseHTTPRequestHandler):
    """Accepts the creation, cuts its log within the second line, and never answers a request for the job."""

    made = MADE
    rest = b'\n{"type": "line", "se'

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(202, [self.made])

    def do_GET(self) -> None:
        if "/log" not in self.path:
            return  # no response at all
        known = int(self.path.rpartition("after=")[2])
        self._answer(200, LOG[known:] if known else LOG[:1])
        self.wfile.write(b"" if known else self.rest)

    def _answer(self, status: int, objects: list[dict[str, object]]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write("\n\n".join(json.dumps(one) for one in objects).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def failing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_log_that_breaks_off_is_taken_up_and_its_end_counts(failing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert jobs.create(options(url=failing)) == Status.FAILED
    said = capsys.readouterr()
    assert said.out.split() == ["first", "second"]
    assert "CT 105 web: failed" in said.err


def test_another_program_at_that_address_is_no_dashboard(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "made", {"hello": "world"})
    with pytest.raises(DashboardError, match="The answer is not from a dashboard"):
        jobs.create(options(url=failing))
