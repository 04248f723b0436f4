"""Readers of single fields: invalid values, and values already parsed, as code in the dashboard passes them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.readers import WrongError
from lxc_dashboard.services.creation.form.spec import ExtraPackage, PackageRef


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (readers.uuid, uuid4()),
        (readers.package_ref, PackageRef("base", PackageManager.APT, "curl")),
        (readers.extra_package, ExtraPackage(PackageManager.PIP, "httpx")),
    ],
)
def test_what_is_read_already_stays_as_it_is(read: Callable[[object], object], value: object) -> None:
    assert read(value) == value


def test_an_extra_package_that_was_read_is_checked_like_any_other() -> None:
    with pytest.raises(WrongError) as refused:
        readers.extra_package(ExtraPackage(PackageManager.CUSTOM, "tool"))
    assert refused.value.reason.code == FieldCode.CUSTOM_PACKAGE


def test_a_package_as_one_text_is_refused() -> None:
    with pytest.raises(WrongError) as refused:
        readers.extra_package("apt curl")
    assert refused.value.reason.code == FieldCode.NO_PACKAGE
