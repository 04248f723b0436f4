"""Which packages are installed and which scripts run, by the user's choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import PhaseFailedError
from lxc_dashboard.services.creation.form.spec import ExtraPackage, PackageRef
from lxc_dashboard.services.creation.steps.packages import batches
from lxc_dashboard.services.creation.steps.sync import chosen_scripts
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig, TemplateContent
from tests.unit.services.creation.wish import SPEC

CONTENT = TemplateContent(
    name="t",
    config=TemplateConfig(app="t"),
    scripts=tuple(
        Script(name, "true", at, enabled=name != "30-c.sh") for at, name in enumerate(["10-a.sh", "20-b.sh", "30-c.sh"])
    ),
    buckets=(
        Bucket("base", PackageManager.APT, (PackageEntry("curl"), PackageEntry("nginx=1.2*"))),
        Bucket("more", PackageManager.APT, (PackageEntry("curl"), PackageEntry("it's; $(x)"))),
        Bucket("js", PackageManager.NPM, (PackageEntry("pm2@5"),)),
        Bucket("own", PackageManager.CUSTOM, (PackageEntry("tool", "test -x /t", "echo 'in'", 60),)),
    ),
)


def test_packages_are_batched_by_manager_each_once_and_custom_ones_alone() -> None:
    found = batches(SPEC, CONTENT)
    assert [(batch.key, batch.count, batch.timeout_s) for batch in found] == [
        ("packages.apt", 3, 3600), ("packages.npm", 1, 3600), ("packages.custom.001", 1, 60),
    ]  # fmt: skip
    assert b"set -- curl 'nginx=1.2*' 'it'\"'\"'s; $(x)'\n" in found[0].script


def test_the_users_choice_of_packages_counts() -> None:
    spec = replace(
        SPEC,
        packages_off=(PackageRef("js", PackageManager.NPM, "pm2@5"), PackageRef("base", PackageManager.APT, "curl")),
        packages_extra=(ExtraPackage(PackageManager.PIP, "httpx"), ExtraPackage(PackageManager.APT, "htop")),
    )
    found = batches(spec, CONTENT)
    assert [batch.key for batch in found] == ["packages.apt", "packages.pip", "packages.custom.001"]
    assert found[0].count == 4  # curl is also in the other bucket
    assert [batch.key for batch in batches(spec, None)] == ["packages.apt", "packages.pip"]


def test_scripts_run_as_chosen_or_as_the_template_has_them() -> None:
    assert [script.name for script in chosen_scripts(SPEC, CONTENT)] == ["10-a.sh", "20-b.sh"]
    spec = replace(SPEC, scripts=("30-c.sh", "10-a.sh"))
    assert [script.name for script in chosen_scripts(spec, CONTENT)] == ["30-c.sh", "10-a.sh"]
    assert chosen_scripts(SPEC, None) == ()
    with pytest.raises(PhaseFailedError, match="no script x"):
        chosen_scripts(replace(SPEC, scripts=("x",)), CONTENT)
