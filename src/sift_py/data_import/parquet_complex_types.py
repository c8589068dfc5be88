"""What becomes of columns of lists and maps."""

from __future__ import annotations

from enum import Enum

__all__ = ["ParquetComplexTypesImportModeType"]


class ParquetComplexTypesImportModeType(Enum):
    """How such columns are imported, by names in the protocol.

    This project's server leaves them out, in all modes but `IGNORE` with a warning.
    """

    UNSPECIFIED = "PARQUET_COMPLEX_TYPES_IMPORT_MODE_UNSPECIFIED"
    IGNORE = "PARQUET_COMPLEX_TYPES_IMPORT_MODE_IGNORE"
    BOTH = "PARQUET_COMPLEX_TYPES_IMPORT_MODE_BOTH"
    STRING = "PARQUET_COMPLEX_TYPES_IMPORT_MODE_STRING"
    BYTES = "PARQUET_COMPLEX_TYPES_IMPORT_MODE_BYTES"

    @classmethod
    def from_str(cls, val: str) -> ParquetComplexTypesImportModeType | None:
        """The mode of a name in the protocol; None if there is none."""
        return next((one for one in cls if one.value == val), None)

    def as_human_str(self) -> str:
        """Its name."""
        return self.value
