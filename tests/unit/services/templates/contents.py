"""Templates of every shape that the format has, for hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.content import parse_script
from lxc_dashboard.services.templates.format.layout import folded
from lxc_dashboard.services.templates.format.packages import parse_packages
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

# Characters with a meaning in bash, package lists, file systems or text decoders.
SPECIAL = "ab01 \t'\"\\$`!#|;&~{}()<>*?[]=:@é€\u0301\ufeff"


def line(max_size: int = 30) -> st.SearchStrategy[str]:
    return (
        st.text(st.sampled_from(SPECIAL.replace("\t", "")), min_size=1, max_size=max_size).map(str.strip).filter(bool)
    )


def text() -> st.SearchStrategy[str]:
    return st.text(st.one_of(st.sampled_from(SPECIAL + "\n\r"), st.characters(exclude_characters="\0", codec="utf-8")))


def plain() -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(SPECIAL + "\n"), max_size=60).map(str.strip)


configs = st.builds(
    TemplateConfig,
    app=line(),
    tags=st.lists(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_+.\-]{0,9}", fullmatch=True), unique=True, max_size=4).map(
        tuple
    ),
    description=plain(),
    config_path=st.sampled_from(["", "lxc/web", "a b/container-configs"]),
    cpu=st.integers(1, 8192),
    ram_mib=st.integers(16, 1 << 20),
    disk_gib=st.integers(1, 128 << 10),
    swap_mib=st.integers(0, 1 << 20),
    os=st.sampled_from(["", "debian", "alpine"]),
    version=st.sampled_from(["", "13", "3.22"]),
    storage=st.sampled_from(["", "local-lvm"]),
    bridge=st.sampled_from(["", "vmbr0"]),
    unprivileged=st.booleans(),
    nesting=st.booleans(),
    keyctl=st.booleans(),
    fuse=st.booleans(),
)
file_names = st.one_of(
    st.sampled_from(
        ["a", "A", "a.path", "a.policy", "a.path.path", "A.policy", "README.md", ".gitkeep", "more-1", "x\\2d.mount"]
    ),
    st.text(st.sampled_from("aAbé\u0301\\ .-"), min_size=1, max_size=8).filter(
        lambda name: name != "." and ".." not in name.split("\\")
    ),
)
files = st.builds(
    FileEntry,
    name=file_names,
    target_dir=st.sampled_from(["/", "/etc/nginx", "/srv/a b", "/opt/#x"]),
    policy=st.sampled_from(FilePolicy),
    content=st.binary(max_size=40),
    mode=st.one_of(st.sampled_from([0o644, 0o755, 0o600, 0o4711]), st.integers(0, 0o7777)),
    owner=st.sampled_from(["", "root", "www-data:www-data"]),
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[Script, ...]:
    names = st.from_regex(r"[0-9]{0,2}[A-Za-z é_-]{1,6}\.sh", fullmatch=True)
    found = []
    for name in draw(st.lists(names, max_size=4, unique_by=folded)):
        content = draw(st.one_of(text(), st.just("#!/bin/bash\n# Says it\n# timeout: 60\n# optional: yes\ntrue\n")))
        try:
            script, _ = parse_script(name, 0, content.encode(), name)
        except TemplateError:
            continue
        changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
            {},
            optional={
                "enabled": st.booleans(),
                "optional": st.booleans(),
                "timeout_s": st.integers(1, 86_400),
                "description": line().filter(str.isprintable),
            },
        )
        found.append(replace(script, content=content, **draw(changes)))
    ordered = sorted(found, key=lambda script: script_order(script.name))
    if draw(st.booleans()):
        ordered = draw(st.permutations(ordered))
    return tuple(replace(script, position=position) for position, script in enumerate(ordered))


@st.composite
def buckets(draw: st.DrawFn) -> tuple[Bucket, ...]:
    names = st.tuples(st.sampled_from(["base", "a.b", "web é", "x"]), st.sampled_from(PackageManager))
    found = []
    for name, manager in draw(st.lists(names, max_size=4, unique=True)):
        custom = st.tuples(line(6), line(12), line(12), st.sampled_from(["", "", "|timeout_s=7", "|timeout_s=300"]))
        custom_lines = custom.map(lambda parts: "|".join(parts[:3]) + parts[3])
        lines = custom_lines if manager is PackageManager.CUSTOM else line()
        kept: list[str] = []
        for listed in draw(st.lists(lines, max_size=5)):
            try:
                parse_packages(name, manager, f"\n{listed}".encode(), "list")
            except TemplateError:
                continue
            kept.append(listed)
        bucket, _ = parse_packages(name, manager, "\n".join(["", *kept]).encode(), "list")
        found.append(bucket)
    return tuple(sorted(found, key=lambda bucket: (bucket.name, bucket.manager)))


def contents(name: str = "web") -> st.SearchStrategy[TemplateContent]:
    return st.builds(
        TemplateContent,
        name=st.just(name),
        config=configs,
        scripts=scripts(),
        files=st.lists(files, max_size=6, unique_by=lambda file: file.name).map(
            lambda found: tuple(sorted(found, key=lambda file: file.name))
        ),
        buckets=buckets(),
    )
