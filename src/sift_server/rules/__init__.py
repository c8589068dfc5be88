"""Rules: conditions over channels, evaluated as data comes or when asked, that make annotations.

Points come in at `LiveRules.publish`, what rules say at `CatalogBook`, which is also where the
stretches of truth leave, as annotations of the catalog. In between nothing knows of either:
`run_evaluation` evaluates the conditions of a run, `evaluation` one condition piece by piece,
`late` what came late, from what is stored. `RuleEvaluation` evaluates what somebody asks about, and
`registration` takes rules in. `RunReports` has rules evaluated on a run in the background, by
`report_worker`.
"""

from sift_server.rules.asked import AskedStretches, AskedTime, RuleEvaluation
from sift_server.rules.book import CatalogBook
from sift_server.rules.live import LiveRules
from sift_server.rules.reports import RunReports

__all__ = [
    "AskedStretches",
    "AskedTime",
    "CatalogBook",
    "LiveRules",
    "RuleEvaluation",
    "RunReports",
]
