"""`sift.data_imports.v2.DataImportService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import json_format

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_server.api.called_at import url_of
from sift_server.api.import_configs import config_of
from sift_server.api.import_configs.detecting import detected_config
from sift_server.api.services.convert import list_request, to_timestamp
from sift_server.api.uploads import UPLOADS_PREFIX
from sift_server.imports import check_url

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, DataImport
    from sift_server.imports import ImportWorker


class DataImportService:
    """Creates, lists, gets and retries data imports, and finds out what is in files."""

    SERVICE_NAME = "sift.data_imports.v2.DataImportService"

    def __init__(self, catalog: Catalog, worker: ImportWorker) -> None:
        self._imports = catalog.data_imports
        self._worker = worker

    def create_data_import_from_upload(
        self, request: pb.CreateDataImportFromUploadRequest
    ) -> pb.CreateDataImportFromUploadResponse:
        """Create an import, whose file is to be sent to the URL in the answer."""
        data_import_id = self._imports.create(*config_of(request)).data_import_id
        return pb.CreateDataImportFromUploadResponse(
            upload_url=url_of(UPLOADS_PREFIX + data_import_id), data_import_id=data_import_id
        )

    def create_data_import_from_url(
        self, request: pb.CreateDataImportFromUrlRequest
    ) -> pb.CreateDataImportFromUrlResponse:
        """Create an import, whose file this server fetches."""
        check_url(request.url, self._worker.urls)
        imported = self._imports.create(*config_of(request), source_url=request.url)
        self._worker.wake()
        return pb.CreateDataImportFromUrlResponse(data_import_id=imported.data_import_id)

    def detect_config(self, request: pb.DetectConfigRequest) -> pb.DetectConfigResponse:
        """Find out what is in a file, by its first bytes or those that say it."""
        return detected_config(request)

    def list_data_imports(self, request: pb.ListDataImportsRequest) -> pb.ListDataImportsResponse:
        """Return a page of the imports."""
        page = self._imports.list(list_request(request))
        return pb.ListDataImportsResponse(
            data_imports=map(_message, page.items), next_page_token=page.next_token
        )

    def get_data_import(self, request: pb.GetDataImportRequest) -> pb.GetDataImportResponse:
        """Return an import."""
        imported = self._imports.get(request.data_import_id)
        return pb.GetDataImportResponse(data_import=_message(imported))

    def retry_data_import(self, request: pb.RetryDataImportRequest) -> pb.RetryDataImportResponse:
        """Do an import again that failed."""
        self._worker.retry(self._imports.job_id(request.data_import_id))
        return pb.RetryDataImportResponse()


def _message(imported: DataImport) -> pb.DataImport:
    message = pb.DataImport(
        data_import_id=imported.data_import_id,
        source_url=imported.source_url,
        status=pb.DataImportStatus.ValueType(imported.status),
        error_message=imported.error_message,
        created_date=to_timestamp(imported.created_ns),
        modified_date=to_timestamp(imported.modified_ns),
        run_id=imported.run_id,
        asset_id=imported.asset_id,
        data_start_time=to_timestamp(imported.data_start_ns),
        data_stop_time=to_timestamp(imported.data_stop_ns),
        warning_messages=imported.warnings,
    )
    json_format.Parse(imported.config_json, getattr(message, imported.config_kind))
    return message
