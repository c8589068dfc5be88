"""Examines a folder that is not served, says in words what is wrong, and mends it.

`examine` reads log, table and catalog, each for itself and against each other, and changes nothing.
`repair` mends what can be mended without inventing data.
"""

from sift_server.doctor.catalog_check import LaterCatalogError
from sift_server.doctor.examination import (
    Examination,
    bytes_to_read,
    examine,
    require_data_folder,
)
from sift_server.doctor.findings import Finding, Level, Report
from sift_server.doctor.repair import Repair, repair

__all__ = [
    "Examination",
    "Finding",
    "LaterCatalogError",
    "Level",
    "Repair",
    "Report",
    "bytes_to_read",
    "examine",
    "repair",
    "require_data_folder",
]
