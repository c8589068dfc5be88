"""What became of imports."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from sift_py._internal.rest_client import RestClient
from sift_py.errors import DataImportError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sift_py.rest import SiftRestConfig

__all__ = ["DataImport", "DataImportService", "DataImportStatusType"]

_FIRST_WAIT_S = 0.05
_WAIT_S_MAX = 1.0


class DataImportStatusType(Enum):
    """How far an import is, by names in the protocol."""

    SUCCEEDED = "DATA_IMPORT_STATUS_SUCCEEDED"
    PENDING = "DATA_IMPORT_STATUS_PENDING"
    IN_PROGRESS = "DATA_IMPORT_STATUS_IN_PROGRESS"
    FAILED = "DATA_IMPORT_STATUS_FAILED"

    @classmethod
    def from_str(cls, val: str) -> DataImportStatusType | None:
        """The status of a name in the protocol; None if there is none."""
        return next((one for one in cls if one.value == val), None)

    def as_human_str(self) -> str:
        """Its name."""
        return self.value


@dataclass(frozen=True)
class DataImport:
    """An import.

    Attributes:
        source_url: Where its file was fetched from; empty for one that was sent.
        error_message: Why it failed.
        csv_config: Its config, if it is of a CSV file.
        parquet_config: Its config, if it is of a Parquet file.
        warning_messages: What is to be known of what was imported.
        run_id: The run of its points; empty if they have none.
        asset_id: The asset of its points; empty if it is not begun.
    """

    data_import_id: str
    created_date: datetime
    modified_date: datetime
    source_url: str
    status: DataImportStatusType
    error_message: str
    csv_config: dict[str, Any] | None = None
    parquet_config: dict[str, Any] | None = None
    warning_messages: tuple[str, ...] = ()
    run_id: str = ""
    asset_id: str = ""

    @classmethod
    def convert_status(cls, raw: str | DataImportStatusType) -> DataImportStatusType:
        """The status of a name in the protocol.

        Raises:
            ValueError: There is none.
        """
        status = (
            raw if isinstance(raw, DataImportStatusType) else DataImportStatusType.from_str(raw)
        )
        if status is None:
            raise ValueError(f"{raw!r} is no status of a data import")
        return status


class DataImportService:
    """Asks what became of one import, or of several that belong together."""

    STATUS_PATH = "/api/v1/data-imports"

    def __init__(self, restconf: SiftRestConfig, data_import_id: str) -> None:
        """Take where the server is, and the id of an import."""
        self._rest = RestClient(restconf)
        self._data_import_ids = [data_import_id]

    def extend(self, other: Self) -> None:
        """Ask for the imports of another one, too."""
        self._data_import_ids += other._data_import_ids

    def get_data_import(self, idx: int = 0) -> DataImport:
        """Return an import.

        Raises:
            DataImportError: The server can't be reached, or does not have it.
        """
        path = f"{self.STATUS_PATH}/{quote(self._data_import_ids[idx], safe='')}"
        return _data_import(self._rest.call("GET", path).get("dataImport", {}))

    def get_data_imports(self) -> Generator[DataImport, None, None]:
        """Return all imports, one by one."""
        for idx in range(len(self._data_import_ids)):
            yield self.get_data_import(idx)

    def wait_until_complete(self, idx: int = 0) -> DataImport:
        """Wait until an import has succeeded or failed, and return it.

        Raises:
            DataImportError: The server can't be reached, or does not have it.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            found = self.get_data_import(idx)
            if found.status in (DataImportStatusType.SUCCEEDED, DataImportStatusType.FAILED):
                return found
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, _WAIT_S_MAX)

    def wait_until_all_complete(self) -> list[DataImport]:
        """Wait until all imports have succeeded or failed, and return them."""
        return [self.wait_until_complete(idx) for idx in range(len(self._data_import_ids))]


def _data_import(document: dict[str, Any]) -> DataImport:
    try:
        return DataImport(
            document["dataImportId"],
            datetime.fromisoformat(document["createdDate"]),
            datetime.fromisoformat(document["modifiedDate"]),
            document.get("sourceUrl", ""),
            DataImport.convert_status(document["status"]),
            document.get("errorMessage", ""),
            document.get("csvConfig"),
            document.get("parquetConfig"),
            tuple(document.get("warningMessages", ())),
            document.get("runId", ""),
            document.get("assetId", ""),
        )
    except (KeyError, ValueError) as error:
        raise DataImportError.unreadable(f"the answer is no data import: {error}") from None
