"""Unusual scripts and files: each works as its author may expect, or the job says why not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lxc_dashboard.db.models import EventType, FilePolicy, JobState, PackageManager
from lxc_dashboard.services.templates.model import Bucket, FileEntry, PackageEntry
from tests.integration.creation.conftest import content_of
from tests.worded import cause

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab

# By name: the script and its last line in the log.
DO = {
    "01-no-first-line.sh": ('a=(1 2)\necho "${a[1]}"\n', "2"),
    "02-python.sh": ("#!/usr/bin/env python3\nimport os\nprint(os.environ['HOME'])\n", "/root"),
    "03-perl.sh": ('#!/usr/bin/perl\nprint "perl\\n";\n', "perl"),
    "04-space.sh": ("#! /bin/bash\necho spaced\n", "spaced"),
    "05-blank-line-first.sh": ('\n#!/bin/bash\nb=(1 2); echo "late ${b[1]}"\n', "late 2"),
    "06-where.sh": (
        '#!/bin/sh\necho "$HOME $TERM $DEBIAN_FRONTEND $(umask) $PWD"\n',
        "/root dumb noninteractive 0022 /root",
    ),
    "07-asks.sh": ("#!/bin/bash\nread -r answer || echo nobody answers\n", "nobody answers"),
    "08-changes.sh": ("#!/bin/sh\numask 077; cd /tmp; export HOME=/nowhere PATH=/bin\necho changed\n", "changed"),
    "09-sees-no-change.sh": ('#!/bin/sh\necho "$HOME $(umask) $PWD"\n', "/root 0022 /root"),
    "10-leaves-daemons.sh": ("#!/bin/bash\nsleep 300 &\nnohup sleep 301 >/dev/null 2>&1 &\necho left\n", "left"),
    "11-no-line-end.sh": ("#!/bin/sh\nprintf 'half a line'\n", "half a line"),
    "12-tee.sh": ("#!/bin/bash\nexec > >(tee -a /tmp/install.log) 2>&1\necho teed\n", "teed"),
    "13-bytes.sh": ("#!/bin/sh\nhead -c 3000 /dev/urandom; echo; echo 'grün ✓'\n", "grün ✓"),
    "14-exit-0.sh": ("#!/bin/sh\necho done\nexit 0\necho never\n", "done"),
    "15-returns.sh": ("#!/bin/sh\necho back\nreturn 0\n", "back"),
    "16 ünï ✓.sh": ("echo ${CONTAINER_OS}\n", "debian"),
}
# By name: the script and the cause of its failure.
FAIL = {
    "50-sudo.sh": ("#!/bin/bash\nset -e\nno-sudo-here apt update\n", "a command is missing in the guest: no-sudo-here"),
    "51-zsh.sh": ("#!/opt/none/zsh\necho x\n", "a command is missing in the guest: /opt/none/zsh"),
    "52-child.sh": (
        '#!/bin/bash\nbash -c "log_info hello"\n',
        "a program that the script started knows no helper log_info",
    ),
    "53-says-no.sh": ('#!/bin/bash\nread -p "Go on? " a; [ "$a" = y ]\n', "ended with status 1"),
    "54-kill.sh": ("#!/bin/sh\nkill -9 $$\n", "it was killed"),
    "55-systemd.sh": ("#!/bin/sh\nsystemctl restart x\n", "systemd does not run in the guest"),
}


async def test_scripts_as_strangers_write_them(lab: Lab) -> None:
    content = content_of(*((name, text) for name, (text, _) in {**DO, **FAIL}.items()), timeout_s=30)
    optional = tuple(replace(script, optional=script.name in FAIL) for script in content.scripts)
    job_id = await lab.request(replace(content, scripts=optional))
    job = await lab.finish(job_id)
    assert {name: (await lab.log_of(job_id, name))[-1] for name in DO} == {n: said for n, (_, said) in DO.items()}
    events = await lab.events(job_id)
    told = {event.script: event.message for event in events if event.type is EventType.WARNING and event.script}
    assert sorted(told) == sorted(FAIL)
    assert [name for name, (_, why) in FAIL.items() if why not in told[name]] == []
    assert (await lab.in_guest(job.vmid, "pgrep", "-fc", "sleep 30[01]")).strip() == "2"


async def test_packages_and_files_as_strangers_name_them(lab: Lab) -> None:
    named = PackageEntry("Node.js LTS (übrig) $x", "test -d '/opt/ü x'", "mkdir -p '/opt/ü x' | cat")
    files = (
        FileEntry("größe 1.txt", "/opt/ü x", FilePolicy.DEFAULT, b"late\n"),
        FileEntry("-rf", "/etc", FilePolicy.REPLACE, b""),
        FileEntry("$(id) `id` 'q' \"d\".conf", "/etc", FilePolicy.BACKUP, b"\0\xff"),
    )
    content = content_of(files=files, buckets=[Bucket("größe list", PackageManager.CUSTOM, (named,))])
    job = await lab.finish(await lab.request(content))
    assert await lab.in_guest(job.vmid, "cat", "/opt/ü x/größe 1.txt") == "late\n"
    sizes = await lab.in_guest(job.vmid, "stat", "-c", "%s", "/etc/-rf", "/etc/$(id) `id` 'q' \"d\".conf")
    assert sizes.split() == ["0", "2"]


async def test_a_file_waits_for_its_owner(lab: Lab) -> None:
    script = ("10-user.sh", "#!/bin/sh\nuseradd --system --user-group app\n")
    owned = FileEntry("app.conf", "/etc", FilePolicy.REPLACE, b"x\n", owner="app:app")
    job = await lab.finish(await lab.request(content_of(script, files=[owned])))
    # In a guest with only one uid, chown succeeds without an effect.
    given_to = "root:root\n" if lab.guests.kind == "rootless-single" else "app:app\n"
    assert await lab.in_guest(job.vmid, "stat", "-c", "%U:%G", "/etc/app.conf") == given_to

    nobodys = replace(owned, owner="ghost")
    job_id = await lab.request(content_of(script, files=[nobodys]))
    failed = await lab.finish(job_id, state=JobState.FAILED)
    assert failed.error
    assert cause(failed.error) == "/etc/app.conf cannot be given to ghost, who does not exist after the scripts"
