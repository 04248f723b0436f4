"""A patch of the feed, for Redis and the browsers: the changes since the previous patch.

``{v, prev, gone, meta}`` and the changed rows. A few rows are plain JSON (``rows``: fields by vmid). Many rows are ``packed``:
their columns as gzipped JSON in base64, with the names of the changed ``fields``. The poller packs a patch once; all others
pass it on.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from lxc_dashboard.services.monitor.rows import Fields, Row, columns_of_changes, rows_of

Patch = dict[str, Any]

# Fewer rows are smaller as plain JSON.
PACKED_FROM_ROWS: Final = 60
# A higher level takes three times as long and saves a tenth.
GZIP_LEVEL: Final = 1


def patch_of(v: int, prev: int, changed: Mapping[int, Row | Fields], gone: list[int], meta: Mapping[str, Any]) -> Patch:
    """``prev``: the number of the previous patch."""
    head: Patch = {"v": v, "prev": prev, "gone": gone, "meta": meta}
    fields = {vmid: asdict(change) if isinstance(change, Row) else change for vmid, change in changed.items()}
    if len(fields) < PACKED_FROM_ROWS:
        return head | {"rows": fields}
    by_field = columns_of_changes(fields)
    packed = base64.b64encode(gzip.compress(msgspec.json.encode(by_field), GZIP_LEVEL, mtime=0)).decode()
    return head | {"fields": list(by_field), "packed": packed}


def changed_rows(patch: Patch) -> dict[int, Fields]:
    """The changed fields by vmid."""
    if "packed" in patch:
        return rows_of(msgspec.json.decode(gzip.decompress(base64.b64decode(patch["packed"]))))
    return {int(vmid): fields for vmid, fields in patch.get("rows", {}).items()}


def changed_fields(patch: Patch) -> set[str]:
    """The names of the fields that changed in any row."""
    return {name for fields in patch.get("rows", {}).values() for name in fields} | set(patch.get("fields", ()))
