"""Keeps rules with the `RuleService` of sift-stack-py 0.3 and later: by client key, and from YAML.

    python keep_rules_by_key.py HOST:PORT API_KEY ASSET OTHER_ASSET

Prints what `get_rule` says of each rule in the end.
"""

import json
import sys
import tempfile
from pathlib import Path

import grpc

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, ChannelEnumType
from sift_py.rule.config import (
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)
from sift_py.rule.service import RuleService

uri, key, asset, other_asset = sys.argv[1:]
temperature = ChannelConfig("temperature", ChannelDataType.DOUBLE)
state = ChannelConfig(
    "state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Hot", 1)],
)
YAML = """
rules:
  - name: overheating
    rule_client_key: overheating
    description: from YAML
    expression: $1 > $limit && $2 == "Hot"
    type: review
    tags: [thermal]
    asset_names: [%s]
    channel_references:
      - $1: temperature
      - $2: state
    sub_expressions:
      - $limit: 80
  - name: failed
    rule_client_key: failed
    expression: {name: failed}
    type: phase
    asset_names: [%s]
    channel_references:
      - $1: log
""" % (asset, asset)


def config(expression, **more):
    return RuleConfig(
        name="hot",
        description="It is hot.",
        expression=expression,
        channel_references=[
            {"channel_reference": "$1", "channel_config": temperature},
            {"channel_reference": "$2", "channel_config": state},
        ],
        rule_client_key="hot",
        asset_names=[asset],
        **more,
    )


with use_sift_channel(SiftChannelConfig(uri=uri, apikey=key, use_ssl=False)) as channel:
    service = RuleService(channel)
    assert service.get_rule("hot") is None
    review = RuleActionCreateDataReviewAnnotation(tags=["thermal"])
    hot = config('$1 > 80 && $2 == "Hot"', action=review)
    service.create_or_update_rule(hot)
    try:
        service.create_or_update_rule(config('$1 == "Hot" && $2 == "Hot"', action=review))
    except grpc.RpcError as error:
        refusal = error.details()
    service.create_or_update_rule(config('$1 > 90 && $2 == "Hot"', action=review))
    attached = service.attach_asset("hot", [other_asset]).asset_names
    detached = service.detach_asset("hot", [asset]).asset_names
    service.create_or_update_rules(
        [
            RuleConfig(
                name="fast",
                expression="$1 > 3",
                channel_references=[
                    {"channel_reference": "$1", "channel_identifier": "motor.velocity"}
                ],
                action=RuleActionCreatePhaseAnnotation(),
                rule_client_key="fast",
                asset_names=[asset],
            )
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yml")
        path.write_text(YAML)
        for _ in range(2):
            service.load_rules_from_yaml([path], {"failed": 'contains($1, "failure")'})
    rules = [service.get_rule(each) for each in ("hot", "fast", "overheating", "failed")]
print(
    json.dumps(
        {
            "refusal": refusal,
            "attached": attached,
            "detached": detached,
            "rules": {
                rule.name: {
                    "expression": rule.expression,
                    "description": rule.description,
                    "assets": rule.asset_names,
                    "channels": {
                        each["channel_reference"]: each["channel_identifier"]
                        for each in rule.channel_references
                    },
                }
                for rule in rules
            },
        }
    )
)
