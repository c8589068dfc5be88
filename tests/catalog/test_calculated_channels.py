"""Calculated channels in the catalog: versions, names, scopes and lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sift_server.catalog import (
    Attributes,
    Calculated,
    CalculatedContent,
    CalculatedReference,
    Condition,
    InlineExpression,
    ListRequest,
    RuleContent,
    RuleDraft,
)
from sift_server.catalog import calculated_writing as writing
from sift_server.catalog.calculated_content import (
    CALCULATED_ASSETS_MAX,
    CALCULATED_DESCRIPTION_CHARS_MAX,
    CALCULATED_NAME_CHARS_MAX,
)
from sift_server.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from support.catalogs import flow_of

POWER = CalculatedContent(
    "power",
    "$1 * $2 + $3",
    description="Of the motor.",
    units="W",
    references=(
        CalculatedReference("$1", "voltage"),
        CalculatedReference(
            "$2", inline=InlineExpression("$1 + $2", (("$1", "id"), ("$2", InlineExpression("3"))))
        ),
    ),
    has_all_assets=True,
    metadata=(("margin", 1.5), ("by", "ann")),
    pins=(("current", "id"),),
)


@pytest.fixture
def calculated(catalog):
    return catalog.calculated_channels


@pytest.fixture
def rover(catalog) -> str:
    """An asset with a tag."""
    config = catalog.ingestion_configs.create("rover", "r", [flow_of("f", "voltage")])
    catalog.assets.update(
        config.asset_id, lambda asset: replace(asset, attributes=Attributes(tags=("field",)))
    )
    return config.asset_id


def tag_id(catalog) -> str:
    (tag,) = catalog.tags.list(ListRequest("name == 'field'")).items
    return tag.tag_id


def test_what_it_says_comes_back(calculated):
    """By id, by client key, and as a version."""
    made = calculated.create(POWER, notes="first", client_key="key", organization_id="us")
    assert (made.content, made.number, made.notes) == (POWER, 1, "first")
    assert (made.client_key, made.organization_id) == ("key", "us")
    assert calculated.get(made.calculated_channel_id) == made
    assert calculated.get(client_key="key") == made
    assert calculated.versions([made.version_id]) == [made]
    with pytest.raises(NotFoundError, match="no calculated channel with the id 'none'"):
        calculated.get("none")
    with pytest.raises(NotFoundError, match="no version of a calculated channel"):
        calculated.versions(["none"])


def test_each_change_makes_a_version(calculated):
    """What is the same makes none; a version that is not the newest any more changes nothing."""
    first = calculated.create(POWER)
    assert calculated.update(first, POWER) == first
    second = calculated.update(first, replace(POWER, expression="$1", units=None), notes="why")
    assert (second.number, second.notes) == (2, "why")
    assert second.change_message == "Changed the units, the expression"
    assert calculated.update(first, POWER) is None
    assert calculated.get(first.calculated_channel_id) == second
    page = calculated.list_versions(first.calculated_channel_id, "", ListRequest())
    assert [one.number for one in page.items] == [1, 2]
    assert page.items[0].content == POWER
    found = calculated.list_versions(
        first.calculated_channel_id, "", ListRequest("user_notes == 'why' && version == 2")
    )
    assert [one.version_id for one in found.items] == [second.version_id]


def test_names_are_unique_among_those_that_are_not_archived(calculated):
    """An archived one makes room, and comes back under a free name only."""
    first = calculated.create(POWER)
    with pytest.raises(
        AlreadyExistsError, match=f"'power', with the id '{first.calculated_channel_id}'"
    ):
        calculated.create(POWER)
    archived = calculated.update(first, POWER, is_archived=True)
    assert archived.archived_ns is not None
    assert archived.version_id == first.version_id
    assert calculated.named(["power"]) == {}
    second = calculated.create(POWER)
    assert calculated.named(["power", "none"]) == {"power": second}
    with pytest.raises(AlreadyExistsError, match="has the name 'power'"):
        calculated.update(archived, POWER, is_archived=False)
    other = calculated.create(replace(POWER, name="heat"), client_key="key")
    with pytest.raises(AlreadyExistsError, match="has the name 'heat'"):
        calculated.update(second, replace(POWER, name="heat"))
    with pytest.raises(AlreadyExistsError, match="client key 'key' exists"):
        calculated.create(replace(POWER, name="third"), client_key="key")
    assert calculated.get(client_key="key") == other


def test_which_assets_have_it(catalog, calculated, rover):
    """All that are not archived, those that are named, and those of tags."""
    lander = catalog.ingestion_configs.create("lander", "l", []).asset_id
    assert calculated.assets_of(POWER) == (rover, lander)
    named = replace(POWER, name="named", has_all_assets=False, asset_ids=(lander,))
    tagged = replace(POWER, name="tagged", has_all_assets=False, tag_ids=(tag_id(catalog),))
    assert calculated.assets_of(named) == (lander,)
    assert calculated.assets_of(tagged) == (rover,)
    for content in (POWER, named, tagged):
        calculated.create(content)

    def names(text: str, asset_id: str | None = None) -> list[str]:
        request = ListRequest(text, "name")
        return [one.content.name for one in calculated.list(request, asset_id).items]

    assert names("", rover) == ["power", "tagged"]
    assert names("", lander) == ["named", "power"]
    assert names(f"asset_id == '{lander}'") == ["named", "power"]
    assert names("asset_name in ['lander', 'none']") == ["named", "power"]
    assert names("asset_name == 'rover'") == ["power", "tagged"]
    assert names("asset_name == 'none'") == []
    assert names(f"tag_id == '{tag_id(catalog)}'") == names("tag_name == 'field'") == ["tagged"]
    assert names("units == 'W' && metadata.by == 'ann' && !is_archived") == [
        "named", "power", "tagged",
    ]  # fmt: skip
    (newest, *_) = calculated.list(ListRequest()).items
    assert newest.content.name == "tagged"
    assert names(f"calculated_channel_version_id == '{newest.version_id}'") == ["tagged"]


def test_what_names_one_is_known(catalog, calculated, rover):
    """Calculated channels and rules, in their newest version."""
    first = calculated.create(replace(POWER, pins=()))
    named = (CalculatedReference("$1", version_id=first.version_id),)
    outer = calculated.create(
        CalculatedContent("outer", "$1", references=named, asset_ids=(rover,))
    )
    expression = Calculated("$1 > 1", versions=(("$1", first.version_id),))
    content = RuleContent("hot", conditions=(Condition(expression),), asset_ids=(rover,))
    rule = catalog.rules.create(RuleDraft(content))
    assert rule.content == content
    expected = ([outer], [rule])
    assert calculated.dependents(first.calculated_channel_id) == expected
    assert calculated.dependents(version_id=first.version_id) == expected
    second = calculated.update(first, replace(POWER, pins=(), expression="$1"))
    assert calculated.dependents(first.calculated_channel_id) == expected
    assert calculated.dependents(version_id=second.version_id) == ([], [])
    catalog.rules.set_deleted([(rule.rule_id, "")], deleted=True)
    assert calculated.dependents(first.calculated_channel_id) == ([outer], [])
    with pytest.raises(NotFoundError):
        calculated.dependents("none")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "x" * (CALCULATED_NAME_CHARS_MAX + 1)}, "1,001 characters; the limit is 1,000"),
        ({"description": "x" * (CALCULATED_DESCRIPTION_CHARS_MAX + 1)}, "the limit is 10,000"),
        ({"has_all_assets": False}, "is for no asset"),
        ({"asset_ids": ("id",) * (CALCULATED_ASSETS_MAX + 1)}, "1,001 assets .* 1,000"),
        ({"references": (CalculatedReference("$1"),)}, "stands for nothing"),
        ({"references": (CalculatedReference("$1", "a"),) * 2}, "says twice"),
        ({"metadata": (("", 1.0),)}, "empty key"),
    ],
)
def test_what_can_not_be_one_is_refused(calculated, wrong, message):
    """With what is wrong."""
    with pytest.raises(InvalidArgumentError, match=message):
        calculated.create(replace(POWER, **wrong))
    assert calculated.list(ListRequest()).items == []


def test_what_it_names_must_be_there(calculated):
    """Assets and tags."""
    with pytest.raises(NotFoundError, match="no asset with the id 'none'"):
        calculated.create(replace(POWER, asset_ids=("none",)))
    with pytest.raises(NotFoundError, match="tag"):
        calculated.create(replace(POWER, tag_ids=("none",)))


def test_there_is_a_limit_of_them(calculated, monkeypatch):
    """Those that are archived do not count."""
    monkeypatch.setattr(writing, "CALCULATED_CHANNELS_MAX", 1)
    first = calculated.create(POWER)
    with pytest.raises(ResourceExhaustedError, match=r"limit is 1 \(CALCULATED_CHANNELS_MAX\)"):
        calculated.create(replace(POWER, name="second"))
    calculated.update(first, POWER, is_archived=True)
    calculated.create(replace(POWER, name="second"))
