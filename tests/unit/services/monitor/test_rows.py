from __future__ import annotations

import gc
import gzip
import json
import random
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lxc_dashboard.proxmox.schemas import GuestStatus, Resource, TaskInfo
from lxc_dashboard.services.monitor.replica import GZIP_LEVEL
from lxc_dashboard.services.monitor.rows import (
    Known,
    Rates,
    Row,
    Rows,
    busy_guests,
    columns,
    difference,
    from_resources,
    laid_over,
    live_fields,
    running_tasks,
)

MIB = 1024 * 1024
# Part of the 350 kB bound of a first load. The rest is for the page itself (tests/e2e/test_weight.py).
LIST_BYTES = 100_000
# A dict with the same fields takes 464 bytes.
ROW_BYTES = 200


def guest(vmid: int = 101, **fields: Any) -> Resource:
    return Resource(id=f"lxc/{vmid}", type="lxc", vmid=vmid, **{"node": "pve1", "status": "running", **fields})


def node(name: str, status: str) -> Resource:
    return Resource(id=f"node/{name}", type="node", node=name, status=status)


def rows(*resources: Resource, **kwargs: Any) -> Rows:
    return from_resources(
        resources, kwargs.get("known", {}), kwargs.get("previous", {}), Rates(), kwargs.get("at", 1e9)
    )


def test_only_containers_are_listed_and_templates_are_not() -> None:
    vm = Resource(id="qemu/200", type="qemu", vmid=200, node="pve1")
    assert list(rows(guest(101), vm, node("pve1", "online"), guest(102, template=True))) == [101]


def test_guests_of_a_node_that_is_down_are_unknown() -> None:
    found = rows(guest(101), guest(102, node="pve2"), node("pve1", "online"), node("pve2", "offline"))
    assert (found[101].status, found[102].status) == ("running", "unknown")


def test_a_guest_whose_node_is_down_keeps_the_name_that_pve_tells_no_more() -> None:
    before = rows(guest(101, name="web"), node("pve1", "online"))
    down = rows(guest(101), guest(102), node("pve1", "offline"), previous=before)
    assert (down[101].name, down[102].name) == ("web", "CT 102")


def test_what_the_product_knows_stands_in_the_row() -> None:
    known = {101: Known("ready", "10.0.0.5", "web r2", "abc")}
    row = rows(guest(101), known=known)[101]
    assert (row.lifecycle, row.address, row.recipe, row.job) == ("ready", "10.0.0.5", "web r2", "abc")


def test_a_guest_that_only_grew_older_does_not_change() -> None:
    first = rows(guest(101, uptime=100), at=1000.0)
    later = rows(guest(101, uptime=112), previous=first, at=1012.5)
    assert difference(first, later) == ({}, [])


def test_a_restart_moves_the_boot_time() -> None:
    first = rows(guest(101, uptime=5000), at=10000.0)
    later = rows(guest(101, uptime=5), previous=first, at=10012.0)
    assert later[101].since == 10007


def test_rates_come_from_counters_and_hold_while_these_stand_still() -> None:
    rates = Rates()
    assert rates.of(1, 0.0, 1000, 0) == (0, 0)
    assert rates.of(1, 10.0, 1000 + 64000, 6400) == (6400, 640)
    assert rates.of(1, 12.0, 65000, 6400) == (6400, 640)
    assert rates.of(1, 20.0, 10, 5) == (0, 0)


def test_a_figure_moves_only_where_somebody_could_see_it() -> None:
    limits = {"maxmem": 1024 * MIB, "maxdisk": 8192 * MIB}
    first = rows(guest(101, cpu=0.123, mem=300 * MIB, disk=999 * MIB, **limits))
    near = rows(guest(101, cpu=0.128, mem=305 * MIB + 1, disk=1020 * MIB, **limits), previous=first)
    assert difference(first, near) == ({}, [])
    far = rows(guest(101, cpu=0.135, mem=309 * MIB + 1, disk=1100 * MIB, **limits), previous=near)
    assert difference(near, far)[0] == {101: {"cpu": 0.14, "mem": 309 * MIB, "disk": 1100 * MIB}}
    idle = rows(guest(101, cpu=0.0, mem=0, disk=1100 * MIB, **limits), previous=rows(guest(101, cpu=0.005, mem=MIB)))
    assert (idle[101].cpu, idle[101].mem) == (0, 0)


def test_a_rate_that_falls_to_nothing_is_shown_as_nothing() -> None:
    rates = Rates()
    rates.of(1, 0.0, 0, 0)
    assert rates.of(1, 10.0, 1_000_000, 640) == (99_968, 64)
    assert rates.of(1, 20.0, 2_040_000, 641) == (99_968, 0)


def test_live_fields_lie_over_an_old_row() -> None:
    status = GuestStatus(vmid=101, status="stopped", name="web", mem=5 * MIB + 3)
    live = live_fields(status, "pve2", Row(101, since=7), 1000.0)
    assert (live["status"], live["node"], live["mem"], live["since"]) == ("stopped", "pve2", 5 * MIB, 0)


def test_running_tasks_name_what_they_do_and_consoles_do_not_count() -> None:
    tasks = [
        TaskInfo("a", type="vzstart", id="101"),
        TaskInfo("b", type="vzdestroy", id="102", status="OK", endtime=5),
        TaskInfo("c", type="vncproxy", id="103"),
        TaskInfo("d", type="a-new-type", id="104"),
        TaskInfo("e", type="aptupdate", id=""),
        TaskInfo("f", type="vzstart", id="²"),
    ]
    assert busy_guests(tasks) == {101: "starting", 104: "busy"}


def test_a_guest_not_listed_yet_has_every_field() -> None:
    assert laid_over(None, 9, {"status": "running"}) == Row(9, "CT 9", status="running")


def test_a_field_that_another_version_sent_is_left_out() -> None:
    assert laid_over(Row(9, "web"), 9, {"cpu": 0.5, "of_a_later_version": 1}) == Row(9, "web", cpu=0.5)


def test_rows_of_thousands_share_what_they_have_in_common() -> None:
    sent = {"node": "pve1", "status": "running", "pool": "production", "tags": ["web", "db"]}
    first, second = [laid_over(None, vmid, json.loads(json.dumps(sent))) for vmid in (101, 102)]
    assert all(getattr(first, name) is getattr(second, name) for name in sent)
    before = rows(guest(101, name="web", tags="db;web", maxmem=5 * MIB))
    assert rows(guest(101, name="web", tags="db;web", maxmem=5 * MIB), previous=before)[101] is before[101]


def test_a_row_is_small_and_costs_the_garbage_collector_nothing() -> None:
    row = laid_over(None, 101, {"name": "web", "tags": ["web"]})
    assert not gc.is_tracked(row)
    assert sys.getsizeof(row) <= ROW_BYTES


ROWS = st.dictionaries(
    st.integers(100, 108),
    st.builds(
        Row, st.just(0), cpu=st.sampled_from([0.1, 0.2]), rx=st.integers(0, 3), tags=st.sampled_from([(), ("a",)])
    ),
    max_size=6,
).map(lambda found: {vmid: replace(row, vmid=vmid) for vmid, row in found.items()})


@given(ROWS, ROWS)
def test_a_difference_laid_over_the_old_gives_the_new(old: Rows, new: Rows) -> None:
    changed, gone = difference(old, new)
    merged = {vmid: row for vmid, row in old.items() if vmid not in gone}
    for vmid, change in changed.items():
        merged[vmid] = change if isinstance(change, Row) else laid_over(merged[vmid], vmid, change)
    assert merged == new
    assert all(change for change in changed.values())


def test_what_runs_in_pve_is_listed_the_oldest_first_without_consoles() -> None:
    def of(kind: str, since: int, endtime: int = 0) -> TaskInfo:
        return TaskInfo(f"UPID:{kind}", "pve1", kind, "101", "root@pam", starttime=since, endtime=endtime)

    found = running_tasks([of("vzdump", 20), of("vncproxy", 5), of("qmstart", 10), of("vzstart", 1, endtime=2)])
    assert [task["type"] for task in found] == ["qmstart", "vzdump"]
    assert found[1] == {
        "upid": "UPID:vzdump",
        "type": "vzdump",
        "id": "101",
        "node": "pve1",
        "user": "root@pam",
        "since": 20,
    }


def test_a_list_of_thousands_that_move_is_light() -> None:
    chance = random.Random(5)  # noqa: S311 - figures of a test

    def moving(vmid: int) -> Row:
        figures = {"cpu": chance.randrange(100) / 100, "maxmem": 2048 * MIB, "maxdisk": 16384 * MIB, "maxcpu": 2}
        sizes = {"mem": chance.randrange(2048) * MIB, "disk": chance.randrange(16384) * MIB}
        rates = {"rx": chance.randrange(1000) * 64, "tx": chance.randrange(1000) * 64}
        where = {"node": f"pve{chance.randrange(16)}", "status": "running", "since": 1_790_000_000 - vmid * 977}
        named = {"vmid": vmid, "name": f"web-{vmid}", "tags": ["web"], "pool": "production"}
        return laid_over(None, vmid, figures | sizes | rates | where | named)

    told = columns({vmid: moving(vmid) for vmid in range(101, 5101)})
    assert len(gzip.compress(json.dumps(told, separators=(",", ":")).encode(), GZIP_LEVEL)) <= LIST_BYTES
