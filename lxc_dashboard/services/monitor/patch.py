"""A patch of the feed as it goes through Redis and to the browsers: what changed since the patch before it.

``{v, prev, gone, meta}`` and the changed rows. Few of them stand there as they are (``rows``: fields by vmid). Many are
``packed``: their columns as gzipped JSON in base64, with the names of the changed ``fields`` beside it. A patch is packed once
by whoever polls, and passed on as it is.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lxc_dashboard.services.monitor.rows import Row, Rows, columns, rows_of

Patch = dict[str, Any]

# Below this a row costs less as it is.
PACKED_FROM_ROWS: Final = 60
# Each patch is made for the moment: a better level takes three times as long and saves a tenth.
GZIP_LEVEL: Final = 1


def patch_of(v: int, prev: int, changed: Mapping[int, Row], gone: list[int], meta: Mapping[str, Any]) -> Patch:
    """``prev``: the number of the patch before it."""
    head: Patch = {"v": v, "prev": prev, "gone": gone, "meta": meta}
    if len(changed) < PACKED_FROM_ROWS:
        return head | {"rows": changed}
    told = columns(changed)
    packed = base64.b64encode(gzip.compress(msgspec.json.encode(told), GZIP_LEVEL, mtime=0)).decode()
    return head | {"fields": list(told), "packed": packed}


def changed_rows(patch: Patch) -> Rows:
    """The changed fields by vmid."""
    if "packed" in patch:
        return rows_of(msgspec.json.decode(gzip.decompress(base64.b64decode(patch["packed"]))))
    return {int(vmid): fields for vmid, fields in patch.get("rows", {}).items()}


def changed_fields(patch: Patch) -> set[str]:
    """The names of the fields that changed in any row."""
    return {name for fields in patch.get("rows", {}).values() for name in fields} | set(patch.get("fields", ()))
