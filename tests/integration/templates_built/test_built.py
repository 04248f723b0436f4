"""Each shipped template, built by the whole product in a guest with systemd: its service works, also after a rerun."""

from __future__ import annotations

import re
from typing import Any

import asyncssh
import httpx
import psycopg
import pytest
import redis.asyncio

from lxc_dashboard import text
from lxc_dashboard.db.models import JobState
from tests.integration.templates_built.conftest import PACKAGES, SETTINGS_OF_WIREGUARD, UNKNOWN_PACKAGE
from tests.integration.templates_built.lab import AskedJob, Lab

pytestmark = [pytest.mark.full, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

OK, UNAUTHORIZED = 200, 401
ANSWER_S = 15


async def is_active(lab: Lab, job: AskedJob, *units: str) -> None:
    """Check that the units run and start again with the guest."""
    for unit in units:
        said = await lab.ask(job, f"systemctl is-active {unit}; systemctl is-enabled {unit} || :")
        assert said.split() in (["active", "enabled"], ["active", "enabled-runtime"], ["active", "alias"]), (unit, said)


async def unchanged_by_a_second_run(lab: Lab, job: AskedJob, *folders: str) -> None:
    """Run every script again without an error; settings, keys and credentials must not change."""
    before = await lab.state_of(job, *folders)
    said = await lab.run_again(job)
    assert "[error]" not in said
    assert await lab.state_of(job, *folders) == before


def ports_of(services: list[dict[str, Any]]) -> dict[int, bool]:
    return {service["port"]: service["public"] for service in services if service["kind"] == "port"}


def units_of(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [service for service in services if service["kind"] == "unit"]


async def get(url: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_S) as client:
        return await client.get(url, **options)


async def test_hello(lab: Lab) -> None:
    job = await lab.ready("hello")
    assert (await lab.secrets(job, "hello"))["PASSWORD"] == (await lab.ask(job, "cat /opt/hello/password")).strip()
    await unchanged_by_a_second_run(lab, job, "/opt/hello")


async def test_nginx_web(lab: Lab) -> None:
    job = await lab.ready("nginx-web")
    await is_active(lab, job, "nginx")
    address = await lab.address(job)
    assert (await get(f"http://{address}/health")).text == "ok\n"
    assert "It serves" in (await get(f"http://{address}/")).text
    assert ports_of(await lab.services(job))[80] is True
    await unchanged_by_a_second_run(lab, job, "/var/www")


async def test_python_app(lab: Lab) -> None:
    job = await lab.ready("python-app")
    await is_active(lab, job, "python-app")
    url = f"http://{await lab.address(job)}:8000"
    token = (await lab.secrets(job, "python-app"))["TOKEN"]
    assert (await get(f"{url}/health")).json() == {"status": "ok"}
    assert (await get(f"{url}/private")).status_code == UNAUTHORIZED
    assert (await get(f"{url}/private", headers={"Authorization": f"Bearer {token}"})).status_code == OK
    await unchanged_by_a_second_run(lab, job, "/srv")


async def test_postgresql(lab: Lab) -> None:
    job = await lab.ready("postgresql")
    await is_active(lab, job, "postgresql")
    assert any(unit["name"].startswith("postgresql@") for unit in units_of(await lab.services(job)))
    secrets = await lab.secrets(job, "postgresql")
    url = f"postgresql://{secrets['USER']}:{secrets['PASSWORD']}@{{}}:{secrets['PORT']}/{secrets['DATABASE']}"
    address = await lab.address(job)
    make = "CREATE TABLE kept (text) AS VALUES ('kept')"
    assert "SELECT 1" in await lab.ask(job, f'psql -X "{url.format(address)}" -c "{make}"')
    assert (await lab.ask(job, f'psql -XtA "{url.format("127.0.0.1")}" -c "SHOW password_encryption"')).strip() == (
        "scram-sha-256"
    )
    # This machine is outside the container's network: it reaches the port but may not log in.
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        await psycopg.AsyncConnection.connect(url.format(address), connect_timeout=ANSWER_S)
    await unchanged_by_a_second_run(lab, job)
    assert (await lab.ask(job, f'psql -XtA "{url.format(address)}" -c "TABLE kept"')).strip() == "kept"


async def test_valkey(lab: Lab) -> None:
    job = await lab.ready("valkey")
    await is_active(lab, job, "valkey-server")
    secrets = await lab.secrets(job, "valkey")
    address, port = await lab.address(job), int(secrets["PORT"])
    async with redis.asyncio.Redis(host=address, port=port, password=secrets["PASSWORD"]) as client:
        await client.set("kept", "kept")
        assert (await client.config_get("appendonly")) == {"appendonly": "yes"}
        assert int((await client.config_get("maxmemory"))["maxmemory"]) > 0
    async with redis.asyncio.Redis(host=address, port=port) as nobody:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await nobody.get("kept")
    await unchanged_by_a_second_run(lab, job)
    async with redis.asyncio.Redis(host=address, port=port, password=secrets["PASSWORD"]) as client:
        assert await client.get("kept") == b"kept"


async def test_docker(lab: Lab) -> None:
    job = await lab.ready("docker")
    await is_active(lab, job, "docker", "containerd")
    assert any("A container ran and answered" in line for line in await lab.said("docker"))
    assert (await lab.ask(job, "docker info --format '{{.LoggingDriver}}'")).strip() == "local"
    assert await lab.ask(job, "docker image ls --quiet") == ""
    started = "systemctl show --property ActiveEnterTimestampMonotonic docker"
    since = await lab.ask(job, started)
    await unchanged_by_a_second_run(lab, job)
    assert await lab.ask(job, started) == since  # a restart would have ended all of docker's containers


async def ssh_in(lab: Lab, job: AskedJob, command: str) -> str:
    """Run ``command`` over the network as a user does, with the password that the dashboard shows."""
    secrets = await lab.secrets(job, "ssh")
    async with asyncssh.connect(
        await lab.address(job),
        int(secrets["PORT"]),
        username=secrets["USER"],
        password=secrets["PASSWORD"],
        client_keys=None,
        known_hosts=None,
        config=None,
    ) as connection:
        return str((await connection.run(f"bash -lc '{command}'", check=True)).stdout)


async def test_python_dev(lab: Lab) -> None:
    job = await lab.ready("python-dev")
    await is_active(lab, job, "ssh")
    assert (await ssh_in(lab, job, "id -u; command -v python")).split() == ["1000", "/home/dev/venv/bin/python"]
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            await lab.address(job), username="root", password="root", client_keys=None, known_hosts=None, config=None
        )
    await unchanged_by_a_second_run(lab, job, "/home")


async def test_node_dev(lab: Lab) -> None:
    job = await lab.ready("node-dev")
    await is_active(lab, job, "ssh")
    assert (await ssh_in(lab, job, "npm prefix --global; node --print 6*7")).split() == ["/home/dev/.local", "42"]
    await unchanged_by_a_second_run(lab, job, "/home/dev/.npmrc")


async def test_wireguard(lab: Lab) -> None:
    if not lab.has_wireguard:
        pytest.skip("this machine's kernel has no WireGuard: see the two tests below")
    job = await lab.ready("wireguard")
    await is_active(lab, job, "wg-quick@wg0")
    shown = await lab.ask(job, "wg show wg0")
    assert "listening port: 51820" in shown
    assert "peer: " in shown
    await unchanged_by_a_second_run(lab, job)


async def test_without_wireguard_in_the_kernel_the_run_ends_at_its_check_and_says_what_to_do(lab: Lab) -> None:
    if lab.has_wireguard:
        pytest.skip("this machine's kernel has WireGuard: see the test above")
    row = await lab.end_of("wireguard")
    assert row.state == JobState.FAILED
    assert any("modprobe wireguard" in line for line in await lab.said("wireguard"))


async def test_the_settings_of_wireguard_are_whole_and_peers_come_and_go(lab: Lab) -> None:
    job = await lab.ready(SETTINGS_OF_WIREGUARD)
    secrets = await lab.secrets(job, "wireguard")
    peer = await lab.ask(job, f"cat {secrets['FILE']}")
    assert f"PrivateKey = {secrets['PRIVATE_KEY']}" in peer
    assert secrets["ENDPOINT"] == f"{await lab.address(job)}:51820"
    await lab.ask(job, "/usr/local/sbin/wg-peer add laptop")
    server = await lab.ask(job, "wg-quick strip wg0")
    assert server.count("[Peer]") == len(["first", "laptop"])
    assert re.search(r"AllowedIPs = 10\.88\.0\.3/32", server)
    public = (await lab.ask(job, f"wg pubkey <<<{secrets['PRIVATE_KEY']}")).strip()
    assert f"PublicKey = {public}" in server
    assert "[Peer]" in await lab.ask(job, "/usr/local/sbin/wg-peer show laptop")
    await lab.ask(job, "/usr/local/sbin/wg-peer remove laptop")
    assert (await lab.ask(job, "/usr/local/sbin/wg-peer list")).split() == ["first"]
    await lab.ask(job, "/usr/local/sbin/wg-peer add ../../x", expect_status=1)


async def test_node_exporter(lab: Lab) -> None:
    job = await lab.ready("node-exporter")
    await is_active(lab, job, "prometheus-node-exporter")
    secrets = await lab.secrets(job, "node-exporter")
    url = f"http://{await lab.address(job)}:{secrets['PORT']}/metrics"
    answer = await get(url, auth=(secrets["USER"], secrets["PASSWORD"]))
    assert answer.status_code == OK
    assert "node_memory_MemTotal_bytes" in answer.text
    assert (await get(url)).status_code == UNAUTHORIZED
    await unchanged_by_a_second_run(lab, job)


AWAY = ("names cannot be resolved", "a server cannot be reached")


async def test_packages_of_three_managers_are_installed_with_their_pins(lab: Lab) -> None:
    row = await lab.end_of(PACKAGES)
    cause = text.in_words_of(row.error)
    if any(reason in cause for reason in AWAY) and "packages-apt" not in cause:
        pytest.skip(f"the registry of npm or pip is not reached from a guest here: {cause}")
    job = await lab.ready(PACKAGES)
    assert (await lab.ask(job, "dpkg-query -W -f '${db:Status-Status}' jq")) == "installed"
    assert "is-number@7.0.0" in await lab.ask(job, "npm ls --global --depth=0")
    assert "Version: 2.0.0" in await lab.ask(job, "python3 -m pip show iniconfig")


async def test_a_package_that_nobody_knows_is_told_with_names_like_it(lab: Lab) -> None:
    row = await lab.end_of(UNKNOWN_PACKAGE)
    assert row.state == JobState.FAILED
    assert "does not exist for this OS: postgres-common" in text.in_words_of(row.error)
    assert "postgresql-common" in text.remedy_of(row.error)
