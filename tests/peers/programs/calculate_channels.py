"""Declares, changes, lists and reads calculated channels with the newest published client.

    python calculate_channels.py HOST:PORT API_KEY

Prints what it gets back as JSON; the server has an asset `rover` with channels `v` and `i`.
"""

import json
import sys

from sift_client import SiftClient, SiftConnectionConfig
from sift_client.sift_types.calculated_channel import CalculatedChannelCreate
from sift_client.sift_types.channel import ChannelReference
from sift_client.sift_types.rule import RuleAction, RuleAnnotationType

address, api_key = sys.argv[1:3]
client = SiftClient(
    connection_config=SiftConnectionConfig(
        grpc_url=address, rest_url=f"http://{address}", api_key=api_key, use_ssl=False
    )
)
rover = client.assets.find(name="rover")
calculated = client.calculated_channels


def shown(channel):
    return {
        "name": channel.name,
        "expression": channel.expression,
        "references": {
            one.channel_reference: one.channel_identifier for one in channel.channel_references
        },
        "units": channel.units,
        "version": channel.version,
        "is_archived": channel.is_archived,
        "notes": channel.user_notes,
        "asset_ids": channel.asset_ids,
        "all_assets": channel.all_assets,
    }


power = calculated.create(
    CalculatedChannelCreate(
        name="power",
        description="Of the motor.",
        units="W",
        expression="$1 * $2",
        expression_channel_references=[
            ChannelReference(channel_reference="$1", channel_identifier="v"),
            ChannelReference(channel_reference="$2", channel_identifier="i"),
        ],
        asset_ids=[rover.id_],
        user_notes="first",
        client_key="power-key",
        metadata={"margin": 1.5},
    )
)
created = shown(power)
double = calculated.create(
    {
        "name": "double",
        "expression": "$p * 2",
        "expression_channel_references": [
            ChannelReference(channel_reference="$p", calculated_channel=power)
        ],
        "all_assets": True,
    }
)
updated = shown(
    power.update(
        {"description": "Of both motors.", "units": "kW"},
    )
)
changed = calculated.update(
    power,
    {
        "expression": "$1 * $2 * 2",
        "expression_channel_references": [
            ChannelReference(channel_reference="$1", channel_identifier="v"),
            ChannelReference(channel_reference="$2", channel_identifier="i"),
        ],
    },
    user_notes="twice",
)
found = {
    "created": created,
    "updated": updated,
    "changed": shown(changed),
    "got": shown(calculated.get(client_key="power-key")),
    "double": shown(double),
    "versions": [shown(one) for one in calculated.list_versions(client_key="power-key")],
    "by name": [one.name for one in calculated.list_(name="power")],
    "by names": sorted(one.name for one in calculated.list_(names=["power", "double"])),
    "containing": [one.name for one in calculated.list_(name_contains="oub")],
    "of the asset": sorted(one.name for one in calculated.list_(asset=rover)),
    "described": [one.name for one in calculated.list_(description_contains="motors")],
    "with metadata": [one.name for one in calculated.list_(filter_query="metadata.margin == 1.5")],
}
rule = client.rules.create(
    {
        "name": "strong",
        "description": "",
        "expression": "$p > 3",
        "channel_references": [ChannelReference(channel_reference="$p", calculated_channel=power)],
        "action": RuleAction.annotation(annotation_type=RuleAnnotationType.DATA_REVIEW, tags=[]),
        "asset_ids": [rover],
    }
)
found["rule"] = [rule.expression, [one.channel_reference for one in rule.channel_references]]
calculated.archive(power)
found["left"] = [one.name for one in calculated.list_()]
found["archived"] = sorted(one.name for one in calculated.list_(include_archived=True))
found["back"] = shown(calculated.unarchive(power))
print(json.dumps(found))
