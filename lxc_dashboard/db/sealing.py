"""An encrypted column: what goes in and comes out, bound to its row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lxc_dashboard.crypto import Keyring


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """``None`` stands for a column that holds nothing. Opening raises ``WrongKeyError``, ``TamperedError``."""

    keyring: Keyring
    table: str
    column: str

    def seal_text(self, text: str | None, row: UUID) -> str | None:
        if text is None:
            return None
        return self.keyring.encrypt(text.encode(), table=self.table, column=self.column, row=row)

    def open_text(self, token: str | None, row: UUID) -> str | None:
        if token is None:
            return None
        return self.keyring.decrypt(token, table=self.table, column=self.column, row=row).decode()

    def seal_json(self, value: Any, row: UUID) -> str | None:
        return None if value is None else self.seal_text(json.dumps(value), row)

    def open_json(self, token: str | None, row: UUID) -> Any:
        text = self.open_text(token, row)
        return None if text is None else json.loads(text)
