"""The time of a pass over 1,000 unchanged templates, compared with the first pass.

Real PostgreSQL with durable writes, and a folder of different templates with scripts, packages and files. The first pass
reads, checks (also with ShellCheck) and stores all of them. A second source of the same folder shows a first pass whose
scripts ShellCheck has already checked.

    python -m bench.discovery
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from lxc_dashboard.crypto import Keyring
from lxc_dashboard.db import migrate
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.db.engine import create_engine
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.services.templates.model import DiscoveryReport
from lxc_dashboard.services.templates.sources.sync import sync_folder

TEMPLATES = 1_000
UNCHANGED_PASSES = 3
MUST_REACH = 0.1
CONF = """\
TEMPLATE_APP="Application {number}"
TEMPLATE_TAGS="web;bench;t{number}"
TEMPLATE_DESCRIPTION="Number {number} of many, with its own ${{TEMPLATE_WORDS:-words}}"
TEMPLATE_CPU=2   # cores
TEMPLATE_RAM="${{TEMPLATE_RAM:-1024}}"
TEMPLATE_OS=debian TEMPLATE_VERSION="13"
"""
SCRIPT = """\
#!/bin/bash
# Step {step} of application {number}
# timeout: 600
set -euo pipefail

target=/srv/app-{number}
if [[ ! -d "$target" ]]; then
    install -d -m 0755 "$target"
fi
for part in one two three; do
    log_info "Preparing $part for {number}"
    printf '%s\\n' "$part" >"$target/$part"
done
password=$(generate_password 32)
save_credential "app-{number}" PASSWORD "$password"
"""
SETTINGS = (
    "[app]\nnumber = {number}\nlisten = 127.0.0.1:{number}\n" + "# a line of a usual length for such a file\n" * 40
)

Pass = Callable[[], Awaitable[DiscoveryReport]]


def write_templates(root: Path) -> int:
    """Write the templates, and return the number of files."""
    files = 0
    for number in range(TEMPLATES):
        configs = root / f"group-{number % 10}" / f"app-{number:04d}" / "container-configs"
        written = {
            "../template.conf": CONF,
            "scripts/00-check.sh": SCRIPT,
            "scripts/40-app.sh": SCRIPT,
            "scripts/90-verify.sh": SCRIPT,
            "packages/base.apt": "# what it needs\nnginx\ncurl  # to look at itself\nca-certificates\n",
            "packages/app.pip": "flask=={number}\n",
            "files/app.conf": SETTINGS,
            "files/app.conf.path": "/etc/app\n",
            "files/app.conf.policy": "backup\n",
        }
        for name, text in written.items():
            path = configs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(number=number, step=name), encoding="utf-8")
            files += 1
    return files


async def timed(made: Pass, *, added: int = 0, changed: int = 0) -> tuple[float, float]:
    """Wall time and CPU time (with children) in seconds. Exits if the pass finds other changes than given."""
    begun, cpu = time.perf_counter(), cpu_s()
    report = await made()
    seconds, spent = time.perf_counter() - begun, cpu_s() - cpu
    if (len(report.added), len(report.changed), report.removed, report.refused) != (added, changed, (), ()):
        sys.exit(f"The pass found {len(report.added)} added, {len(report.changed)} changed, {report.refused[:3]}")
    return seconds, spent


def cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


async def measure(database_url: str, root: Path) -> dict[str, tuple[float, float]]:
    database = DatabaseService(create_engine(database_url), Keyring.from_hex("b1" * 32))

    def reading(name: str) -> Pass:
        return lambda: sync_folder(database, name, root)

    try:
        first = await timed(reading("bench"), added=TEMPLATES)
        known = await timed(reading("again"), added=TEMPLATES)
        unchanged = [await timed(reading("bench")) for _ in range(UNCHANGED_PASSES)]
        conf = root / "group-0/app-0000/template.conf"
        conf.write_text(conf.read_text(encoding="utf-8") + "TEMPLATE_CPU=3\n", encoding="utf-8")
        one = await timed(reading("bench"), changed=1)
    finally:
        await database.close()
    median = (statistics.median(wall for wall, _ in unchanged), statistics.median(cpu for _, cpu in unchanged))
    return {
        "first pass": first,
        "first, scripts checked before": known,
        "unchanged pass (median)": median,
        "one template changed": one,
    }


async def run(folder: Path) -> dict[str, tuple[float, float]]:
    services = EmbeddedServices(folder / "data")
    await services.start()
    try:
        await asyncio.to_thread(migrate.upgrade, services.database_url)
        return await measure(services.database_url, folder / "templates")
    finally:
        await services.stop()


def main() -> int:
    """Print the table, then the verdict. Returns 1 if the bound was missed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    with tempfile.TemporaryDirectory(prefix="lxc-dashboard-bench-") as folder:
        files = write_templates(Path(folder, "templates"))
        print(f"{TEMPLATES:,} templates, {files:,} files\n{'':<32}{'seconds':>9}{'CPU s':>9}")
        passes = asyncio.run(run(Path(folder)))
    for name, (seconds, cpu) in passes.items():
        print(f"{name:<32}{seconds:>9.2f}{cpu:>9.2f}")
    first, known, unchanged, _ = (seconds for seconds, _ in passes.values())
    reached = unchanged <= MUST_REACH * first
    print(
        f"bench=discovery ratio={unchanged / first:.3f} ratio_scripts_known={unchanged / known:.3f}"
        f" first_s={first:.2f} unchanged_s={unchanged:.2f} verdict={'ok' if reached else 'short'}"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
