"""Assets, and the JSON rules that hang on them."""

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
    """Getting it, updating it, and its rules."""
    for ask in (
        catalog.assets.get,
        lambda asset_id: catalog.assets.update(asset_id, lambda asset: asset),
        catalog.rules.view_json,
        lambda asset_id: catalog.rules.update_json(asset_id, "[]"),
    ):
        with pytest.raises(NotFoundError, match="'nowhere'"):
            ask("nowhere")


def test_an_asset_has_no_rules_at_first(catalog, asset_id):
    """An empty array: an empty text is not JSON."""
    assert catalog.rules.view_json(asset_id) == "[]"


def test_rules_are_given_back_byte_for_byte(catalog, asset_id):
    """Blanks, order of keys, escapes and spelling of numbers are the client's own."""
    text = (
        ' [ {"tags":[],\t"name" : "hei\\u00df",\n"expression":"$1 > 1.50","x":1e2} ,{"name":"ß"}]'
    )
    result = catalog.rules.update_json(asset_id, text)
    assert result.error is None
    assert catalog.rules.view_json(asset_id) == text


def test_a_list_of_rules_replaces_the_one_before(catalog, asset_id):
    """What is new, changed and gone is counted by name."""
    first = catalog.rules.update_json(
        asset_id, '[{"name":"a"},{"name":"b","x":1},{"name":"c","x":1}]'
    )
    assert (first.created_count, first.updated_count, first.deleted_count) == (3, 0, 0)
    second = catalog.rules.update_json(
        asset_id, '[{"name":"c", "x":2},{"x":1,"name":"b"},{"name":"d"}]'
    )
    assert (second.created_count, second.updated_count, second.deleted_count) == (1, 1, 1)
    assert (first.total_count, second.total_count) == (3, 3)
    emptied = catalog.rules.update_json(asset_id, "[]")
    assert (emptied.total_count, emptied.deleted_count) == (0, 3)
    assert catalog.rules.view_json(asset_id) == "[]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"name":"a"}', "a JSON object, not an array"),
        ("null", "a JSON null"),
        ("5", "a JSON number"),
        ('[{"name":"a"}, "b"]', "rule 2 is a JSON string, not an object"),
        ('[{"name":"a"}, {}]', "rule 2 has no name"),
        ('[{"name":5}]', "rule 1 has no name"),
        ('[{"name":" "}]', "rule 1 has no name"),
        ('[{"name":"a"}, {"name":"a"}]', "two rules have the name 'a'"),
    ],
)
def test_a_list_that_is_none_changes_nothing(catalog, asset_id, text, said):
    """The answer says why; the rules before stay."""
    catalog.rules.update_json(asset_id, '[{"name":"kept"}]')
    result = catalog.rules.update_json(asset_id, text)
    assert said in result.error
    assert (result.total_count, result.created_count, result.deleted_count) == (1, 0, 0)
    assert catalog.rules.view_json(asset_id) == '[{"name":"kept"}]'
