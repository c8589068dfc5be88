"""HDF5 files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_py.data_import._uploads import Uploads

if TYPE_CHECKING:
    from pathlib import Path

    from sift_py.data_import.config import Hdf5Config
    from sift_py.data_import.status import DataImportService
    from sift_py.rest import SiftRestConfig

__all__ = ["Hdf5UploadService"]


class Hdf5UploadService(Uploads):
    """Uploads HDF5 files, which the server reads as they are."""

    def __init__(self, rest_conf: SiftRestConfig) -> None:
        super().__init__(rest_conf)
        self._previous: DataImportService | None = None

    def upload(
        self, path: str | Path, hdf5_config: Hdf5Config, show_progress: bool = True
    ) -> DataImportService:
        """Upload a file.

        Args:
            path: The file.
            hdf5_config: What is in it.
            show_progress: Whether a terminal shows how much was sent.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportError: The server refuses it, or can't be reached.
        """
        config = {"hdf5_config": hdf5_config.to_dict()}
        self._previous = self._upload_file(path, config, show_progress=show_progress)
        return self._previous

    def get_previous_upload_run_id(self) -> str:
        """The id of the run of the last upload; empty if there is none. Waits for its import.

        Raises:
            DataImportError: The server can't be reached.
        """
        return "" if self._previous is None else self._previous.wait_until_complete().run_id
