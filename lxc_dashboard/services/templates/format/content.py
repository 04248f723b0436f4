"""Reads ``container-configs``: scripts, packages, files."""

from __future__ import annotations

from pathlib import PurePosixPath

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.assignments import MAX_CONF_BYTES
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import line_of
from lxc_dashboard.services.templates.format.files import read_files
from lxc_dashboard.services.templates.format.packages import MAX_BUCKET_NAME_CHARS, MAX_LIST_BYTES, parse_packages
from lxc_dashboard.services.templates.format.scripts import MAX_SCRIPT_BYTES, is_script_name, parse_script
from lxc_dashboard.services.templates.format.text import Faults
from lxc_dashboard.services.templates.format.tree import Entry, Tree
from lxc_dashboard.services.templates.model import (
    Bucket,
    Finding,
    Origin,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

CONFIGS_NAME = "container-configs"
CONFIG_PATH = "TEMPLATE_CONFIG_PATH"
MAX_SCRIPTS = 200
MAX_BUCKETS = 100

_PARTS = ("scripts", "packages", "files")
_NOTES = (".md", ".txt")


def read_content(tree: Tree, name: str, config: TemplateConfig, conf: Entry) -> TemplateContent:
    """Read the template ``name`` with the configuration ``config`` of the file ``conf``.

    Raises ``TemplateError``, and ``OSError`` for an unreadable file.
    """
    warnings: list[Finding] = []
    configs = _configs(tree, config, conf, warnings)
    parts = {entry.name: entry for entry in tree.entries(configs)} if configs else {}
    for part, entry in parts.items():
        if part not in _PARTS:
            _leave_out(entry, warnings)
        elif not entry.is_dir:
            raise TemplateError(entry.shown, 0, Message.of(FormatCode.NO_FOLDER))
    faults = Faults()
    scripts = _scripts(tree, parts["scripts"], warnings, faults) if "scripts" in parts else ()
    buckets = _buckets(tree, parts["packages"], warnings, faults) if "packages" in parts else ()
    files, findings = read_files(tree, parts["files"], faults) if "files" in parts else ((), ())
    faults.refuse()
    origin = Origin(conf.shown, configs.shown if configs else "")
    return TemplateContent(name, config, scripts, files, buckets, (*warnings, *findings), origin)


def config_paths(location: str, config: TemplateConfig) -> tuple[str, ...]:
    """The paths of ``container-configs`` to try, relative to the root: the configured one, then beside the conf."""
    beside = str(PurePosixPath(location, CONFIGS_NAME))
    return tuple(dict.fromkeys(path for path in (config.config_path, beside) if path))


def _configs(tree: Tree, config: TemplateConfig, conf: Entry, warnings: list[Finding]) -> Entry | None:
    path, *fallback = config_paths(str(PurePosixPath(conf.shown).parent), config)
    entry = tree.below(path)
    if entry and entry.is_dir and entry.name != CONFIGS_NAME:
        entry = tree.below(f"{path}/{CONFIGS_NAME}") or entry
    if not entry and fallback:
        entry = tree.below(fallback[0])
        if entry:
            message = Message.of(FormatCode.CONFIG_PATH_REPLACED, key=CONFIG_PATH, path=path, fallback=fallback[0])
            warnings.append(Finding(conf.shown, _line(tree, conf), message))
    if entry and not entry.is_dir:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.NO_FOLDER))
    if not entry and config.config_path:
        gone = Message.of(FormatCode.CONFIG_PATH_GONE, key=CONFIG_PATH, path=path)
        raise TemplateError(conf.shown, _line(tree, conf), gone)
    if not entry:
        warnings.append(Finding(conf.shown, 0, Message.of(FormatCode.NO_CONFIGS, folder=CONFIGS_NAME)))
    return entry


def _line(tree: Tree, conf: Entry) -> int:
    return line_of(tree.read(conf, MAX_CONF_BYTES)[0], CONFIG_PATH)


def _scripts(tree: Tree, folder: Entry, warnings: list[Finding], faults: Faults) -> tuple[Script, ...]:
    found = []
    for entry in tree.entries(folder):
        if entry.is_dir or not is_script_name(entry.name):
            _leave_out(entry, warnings)
        else:
            found.append(entry)
    if len(found) > MAX_SCRIPTS:
        raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_MANY_SCRIPTS, most=MAX_SCRIPTS))
    scripts = []
    for position, entry in enumerate(sorted(found, key=lambda script: script_order(script.name))):
        with faults.collect():
            script, findings = parse_script(entry.name, position, tree.read(entry, MAX_SCRIPT_BYTES)[0], entry.shown)
            scripts.append(script)
            warnings.extend(findings)
    return tuple(scripts)


def _buckets(tree: Tree, folder: Entry, warnings: list[Finding], faults: Faults) -> tuple[Bucket, ...]:
    buckets = []
    for entry in tree.entries(folder):
        suffix = entry.name.rpartition(".")[2]
        if entry.is_dir or entry.name.startswith(".") or suffix not in set(PackageManager):
            _leave_out(entry, warnings)
            continue
        with faults.collect():
            bucket, findings = _bucket(tree, entry, PackageManager(suffix))
            buckets.append(bucket)
            warnings.extend(findings)
    if len(buckets) > MAX_BUCKETS:
        raise TemplateError(folder.shown, 0, Message.of(FormatCode.TOO_MANY_LISTS, most=MAX_BUCKETS))
    return tuple(sorted(buckets, key=lambda bucket: (bucket.name, bucket.manager)))


def _bucket(tree: Tree, entry: Entry, manager: PackageManager) -> tuple[Bucket, tuple[Finding, ...]]:
    name = entry.name.rpartition(".")[0]
    if not name:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.LIST_UNNAMED, manager=manager))
    if len(name) > MAX_BUCKET_NAME_CHARS:
        raise TemplateError(entry.shown, 0, Message.of(FormatCode.LONG_LIST_NAME, most=MAX_BUCKET_NAME_CHARS))
    return parse_packages(name, manager, tree.read(entry, MAX_LIST_BYTES)[0], entry.shown)


def _leave_out(entry: Entry, warnings: list[Finding]) -> None:
    """Warn about a file that is not read. Notes and hidden files are expected here and cause no warning."""
    if not entry.name.startswith(".") and not entry.name.lower().endswith(_NOTES):
        warnings.append(Finding(entry.shown, 0, Message.of(FormatCode.IGNORED)))
