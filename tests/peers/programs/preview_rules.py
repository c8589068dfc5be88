"""Previews rules with the `RuleEvaluationService` of sift-stack-py 0.6 and later.

    python preview_rules.py HOST:PORT API_KEY ASSET RUN_ID

Prints what previews find: of the rule with the key `hot`, of half of the run, and of one that is
not stored.
"""

import json
import sys
from datetime import UTC, datetime, timedelta

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.rule.service import RuleService
from sift_py.rule_evaluation.service import RuleEvaluationService

START = datetime(2026, 1, 1, tzinfo=UTC)
uri, key, asset, run_id = sys.argv[1:]


def config(name, **more):
    return RuleConfig(
        name=name,
        expression="$1 > 80",
        channel_references=[{"channel_reference": "$1", "channel_identifier": "temperature"}],
        action=RuleActionCreateDataReviewAnnotation(),
        asset_names=[asset],
        **more,
    )


def found(preview):
    return [
        (
            one.name,
            one.start_time.seconds - START.timestamp(),
            one.end_time.seconds - START.timestamp(),
        )
        for one in preview.dry_run_annotations
    ]


with use_sift_channel(SiftChannelConfig(uri=uri, apikey=key, use_ssl=False)) as channel:
    RuleService(channel).create_or_update_rule(config("hot", rule_client_key="hot"))
    service = RuleEvaluationService(channel)
    hot = [config("hot", rule_client_key="hot")]
    half = (START, START + timedelta(seconds=15))
    external = [config("external", is_external=True)]
    told = {
        "run": found(service.preview_against_run(run_id, hot)),
        "half": found(service.preview_against_run(run_id, hot, *half)),
        "external": found(service.preview_external_rules(run_id, external)),
    }
print(json.dumps(told))
