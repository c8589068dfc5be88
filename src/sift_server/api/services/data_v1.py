"""`sift.data.v1.DataService`, for clients that know components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.data.v1 import data_pb2
from sift.data.v2 import data_pb2 as v2
from sift_server.api.services.data_pages import DataPages

if TYPE_CHECKING:
    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore


class DataService:
    """Gives back points as they were sent, and what expressions make of them."""

    SERVICE_NAME = "sift.data.v1.DataService"

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self._pages = DataPages(catalog, store, data_pb2)

    def get_data(self, request: data_pb2.GetDataRequest) -> data_pb2.GetDataResponse:
        """Return a page of points, see `DataPages.read`."""
        # The fields have the same numbers in both.
        asked = v2.GetDataRequest.FromString(request.SerializeToString())
        return data_pb2.GetDataResponse(**self._pages.read(asked)._asdict())
