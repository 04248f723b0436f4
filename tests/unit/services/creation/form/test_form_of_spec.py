"""A spec becomes the wizard's form, and the form becomes the same spec again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager, SourceKind
from lxc_dashboard.services.creation.form.choices import Choices, defaults, split_os_template
from lxc_dashboard.services.creation.form.filled import Filled, filled_of, form_of
from lxc_dashboard.services.creation.form.spec import (
    ContainerSpec,
    ExtraPackage,
    IpMode,
    IpSettings,
    Mount,
    PackageRef,
    PasswordMode,
)
from lxc_dashboard.services.creation.form.validation import validate
from lxc_dashboard.services.templates.model import Script, TemplateConfig, TemplateDetail, TemplateSummary

ID = UUID("01a20ae5-30aa-739f-abd0-a0eb36cdf133")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
PLAIN = ContainerSpec(node="pve1", ostemplate="local:vztmpl/debian-13.tar.zst", hostname="web-01", storage="local-lvm")
SPECS = st.builds(
    ContainerSpec,
    node=st.just("pve1"),
    ostemplate=st.just("local:vztmpl/debian-13.tar.zst"),
    ostemplate_download=st.sampled_from(["", "debian-13.tar.zst"]),
    hostname=st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True),
    storage=st.just("local-lvm"),
    vmid=st.none() | st.integers(100, 999_999),
    password_mode=st.sampled_from(PasswordMode),
    ssh_keys=st.sampled_from([(), (f"{KEY} ann",), (f"{KEY} ann", f"{KEY} ben")]),
    cores=st.integers(1, 64),
    memory_mib=st.integers(16, 4096),
    swap_mib=st.integers(0, 4096),
    disk_gib=st.integers(1, 100),
    vlan=st.none() | st.integers(1, 4094),
    ipv4=st.sampled_from(
        [IpSettings(IpMode.DHCP), IpSettings(IpMode.NONE), IpSettings(IpMode.STATIC, "10.0.0.5/24", "10.0.0.1")]
    ),
    ipv6=st.sampled_from([IpSettings(IpMode.AUTO), IpSettings(IpMode.STATIC, "fd00::5/64", "")]),
    nameserver=st.sampled_from(["", "10.0.0.1 10.0.0.2"]),
    searchdomain=st.sampled_from(["", "example.org"]),
    mtu=st.none() | st.integers(576, 9000),
    firewall=st.booleans(),
    unprivileged=st.booleans(),
    nesting=st.booleans(),
    keyctl=st.booleans(),
    fuse=st.booleans(),
    mounts=st.sampled_from(
        [
            (),
            (Mount("local-lvm", "/data", 8, backup=True),),
            (Mount("/srv/x", "/x", read_only=True), Mount("fast", "/y", 2)),
        ]
    ),
    tags=st.sampled_from([(), ("web",), ("prod", "web")]),
    pool=st.sampled_from(["", "dev"]),
    onboot=st.booleans(),
    start_order=st.none() | st.integers(0, 9),
    description=st.sampled_from(["", "two\nlines"]),
)


@given(SPECS)
def test_the_form_of_a_spec_gives_the_same_spec(spec: ContainerSpec) -> None:
    form = form_of(spec)
    ostemplate, download = split_os_template(form["ostemplate"])
    again = validate({**form, "ostemplate": ostemplate, "ostemplate_download": download})
    assert again == spec


def test_every_field_of_the_wizards_form_comes_back_from_a_spec() -> None:
    only_asked_with = {"ipv4_range", "ipv6_range", "hostname_pattern"}
    assert set(defaults(None, Choices("pve1", ()))) - only_asked_with <= set(form_of(PLAIN))


def test_what_stands_beside_the_form_comes_back_too() -> None:
    spec = replace(
        PLAIN,
        revision_id=ID,
        packages_off=(PackageRef("web", PackageManager.APT, "nginx"),),
        packages_extra=(ExtraPackage(PackageManager.PIP, "httpx==0.28"),),
        scripts=("30-c.sh", "10-a.sh"),
    )
    assert filled_of(spec, detail("10-a.sh", "20-b.sh", "30-c.sh")) == Filled(
        form=form_of(spec),
        template_id=ID,
        template_name="web",
        packages_off=("web/apt/nginx",),
        extras=(("pip", "httpx==0.28"),),
        scripts=("30-c.sh", "10-a.sh", "20-b.sh"),
        scripts_off=("20-b.sh",),
    )


def test_a_spec_that_leaves_the_scripts_to_its_template_does_so_again() -> None:
    filled = filled_of(replace(PLAIN, revision_id=ID), detail("10-a.sh"))
    assert (filled.scripts, filled.scripts_off) == ((), ())


def test_a_template_that_is_gone_is_none() -> None:
    filled = filled_of(replace(PLAIN, revision_id=ID, scripts=("10-a.sh",)), None)
    assert (filled.template_id, filled.template_name) == (None, "")


def detail(*scripts: str) -> TemplateDetail:
    summary = TemplateSummary(
        id=ID,
        name="web",
        description="",
        config=TemplateConfig(app="web"),
        source_name="shipped",
        source_kind=SourceKind.FOLDER,
        revision_id=ID,
        revision_number=1,
        scripts=len(scripts),
        files=0,
        packages=0,
        warnings=0,
        missing_since=None,
        updated_at=datetime.now(UTC),
    )
    return TemplateDetail(
        summary=summary,
        scripts=tuple(Script(name=name, content="", position=at) for at, name in enumerate(scripts)),
        files=(),
        buckets=(),
        warnings=(),
        revisions=(),
    )
