"""Archives of one template, packed without the product."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping

from lxc_dashboard.services.templates.sources.archive import ArchiveKind

FOLDER: Mapping[str, bytes] = {
    "web/template.conf": b'TEMPLATE_APP="Web"\n',
    "web/container-configs/scripts/10-core.sh": b"#!/bin/bash\ntrue\n",
    "web/container-configs/files/site.conf": b"server {}\n",
    "web/container-configs/files/site.conf.path": b"/etc/nginx\n",
}


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed(kind: ArchiveKind, files: Mapping[str, bytes]) -> bytes:
    return zipped(files) if kind == "zip" else tarred(files)
