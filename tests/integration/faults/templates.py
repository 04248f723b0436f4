"""The templates of these tests. Each step records its runs and its output in the guest.

``steps`` runs without a stop. Each step of ``waits`` waits halfway for ``/root/go.NAME``. ``stubborn`` ignores TERM.
"""

from __future__ import annotations

from pathlib import Path

TOOL = "tool"
SCRIPTS = ("first", "second")
RUNS = [TOOL, *SCRIPTS]
LINES = 20

_CONF = 'TEMPLATE_APP="{name}"\nTEMPLATE_OS=debian\nTEMPLATE_VERSION=13\nTEMPLATE_RAM=256\nTEMPLATE_DISK=1\n'
_WAIT = "until [ -e /root/go.{step} ]; do sleep 0.05; done"
_SCRIPT = """#!/bin/bash
# timeout: 300
set -euo pipefail
echo {step} >> /root/runs
say() {{ printf "$1"; printf "$1" >> /root/said.{step}; }}
for n in $(seq 1 {lines}); do say "{step} line $n \\342\\202\\254\\n"; done
say "half of a {step} line, "
{wait}
say "and its other half\\n"
for n in $(seq {lines} -1 1); do say "{step} line -$n\\n"; done
mkdir -p /opt/late
say "the last {step} line has no end"
touch /root/over.{step}
"""
_TOOL = (
    "tool|test -e /root/over.tool|echo tool >> /root/runs; echo installing | tee -a /root/said.tool; "
    "{wait}; echo installed | tee -a /root/said.tool; touch /root/over.tool\n"
)
_STUBBORN = """#!/bin/bash
# timeout: 300
trap '' TERM
echo $$ > /root/group
(trap '' TERM INT HUP; while :; do sleep 0.1; done) &
echo begun
while :; do sleep 0.1; done
"""


def write(root: Path) -> None:
    """Write all templates as folders below ``root``."""
    for name, wait in (("steps", ":"), ("waits", _WAIT)):
        files = {f"packages/{TOOL}s.custom": _TOOL.format(wait=wait.format(step=TOOL))}
        for at, step in enumerate(SCRIPTS, 1):
            text = _SCRIPT.format(step=step, lines=LINES, wait=wait.format(step=step))
            files[f"scripts/{at}0-{step}.sh"] = text
        _write(
            root, name, files | _placed("notice.txt", "/etc", "notice\n") | _placed("late.txt", "/opt/late", "late\n")
        )
    _write(root, "stubborn", {"scripts/10-stubborn.sh": _STUBBORN})


def _placed(name: str, folder: str, content: str) -> dict[str, str]:
    return {f"files/{name}": content, f"files/{name}.path": folder, f"files/{name}.policy": "replace"}


def _write(root: Path, name: str, files: dict[str, str]) -> None:
    for place, content in files.items():
        file = root / name / "container-configs" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    (root / name / "template.conf").write_text(_CONF.format(name=name), encoding="utf-8")
