"""`sift.unit.v2.UnitService`, which the newest client asks about every channel that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.unit.v2 import unit_pb2
from sift_server.api.services.convert import list_request
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog import Catalog


class UnitService:
    """Lists the units of channels. A unit is a word, which is its id, too."""

    SERVICE_NAME = "sift.unit.v2.UnitService"

    def __init__(self, catalog: Catalog) -> None:
        self._units = catalog.units

    def create_unit(self, request: unit_pb2.CreateUnitRequest) -> unit_pb2.CreateUnitResponse:
        """Return the unit of a name. It is listed once a channel has it."""
        if not request.name.strip():
            raise InvalidArgumentError("a unit needs a name that is not blank")
        return unit_pb2.CreateUnitResponse(unit=_message(request.name))

    def list_units(self, request: unit_pb2.ListUnitsRequest) -> unit_pb2.ListUnitsResponse:
        """Return a page of the units that channels have."""
        page = self._units.list(list_request(request))
        return unit_pb2.ListUnitsResponse(
            units=map(_message, page.items), next_page_token=page.next_token
        )


def _message(unit: str) -> unit_pb2.Unit:
    return unit_pb2.Unit(unit_id=unit, abbreviated_name=unit)
