"""Archives with hostile members, and the result of reading them."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.sources.archive import read
from tests.unit.services.templates.sources.archives import FOLDER


def refusal(data: bytes) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        read(data, "upload.bin")
    return caught.value


def tar_with(*infos: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for path, data in FOLDER.items():
            made.addfile(info_of(path, data), io.BytesIO(data))
        for info in infos:
            made.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def info_of(path: str, data: bytes = b"", **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def zip_with(name: str, data: bytes = b"", *, mode: int = 0, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, content in FOLDER.items():
            made.writestr(path, content)
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, mode << 16
        made.writestr(info, data, compression)
    return out.getvalue()
