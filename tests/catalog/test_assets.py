"""Assets, and what hangs on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sift_server.catalog import Attributes, ListRequest
from sift_server.errors import InvalidArgumentError, NotFoundError


@pytest.fixture
def asset_id(catalog) -> str:
    """An asset."""
    return catalog.ingestion_configs.create("Rover", "key", []).asset_id


def test_an_asset_takes_tags_metadata_and_archiving(catalog, asset_id):
    """What an update says replaces what was there; name and id stay."""
    before = catalog.assets.get(asset_id)
    attributes = Attributes(("red", "big"), (("wheels", 6.0), ("owner", "ops")))
    after = catalog.assets.update(
        asset_id, lambda asset: replace(asset, attributes=attributes, archived_ns=5, name="no")
    )
    assert after == catalog.assets.get(asset_id)
    assert after == replace(
        before, attributes=attributes, archived_ns=5, modified_ns=after.modified_ns
    )
    assert after.modified_ns > before.modified_ns
    assert catalog.assets.list(ListRequest("tag_name == 'big' && is_archived")).items == [after]
    cleared = catalog.assets.update(asset_id, lambda asset: replace(asset, attributes=Attributes()))
    assert cleared.attributes == Attributes()


def test_an_update_that_can_not_be_stored_changes_nothing(catalog, asset_id):
    """The whole update is refused."""
    before = catalog.assets.get(asset_id)
    with pytest.raises(InvalidArgumentError, match="empty tag"):
        catalog.assets.update(
            asset_id, lambda asset: replace(asset, attributes=Attributes(("a", "")), archived_ns=5)
        )
    assert catalog.assets.get(asset_id) == before


def test_an_unknown_asset_is_not_found(catalog):
    """Getting it and updating it."""
    for ask in (
        catalog.assets.get,
        lambda asset_id: catalog.assets.update(asset_id, lambda asset: asset),
    ):
        with pytest.raises(NotFoundError, match="'nowhere'"):
            ask("nowhere")
