"""Calculated channels: checked where they are declared, resolved for assets, read like channels."""

from sift_server.calculated.reading import DATA_TYPES, CalculatedReader
from sift_server.calculated.registration import CalculatedRegistration, Inapplicable
from sift_server.calculated.resolution import Resolution, Resolved

__all__ = [
    "DATA_TYPES",
    "CalculatedReader",
    "CalculatedRegistration",
    "Inapplicable",
    "Resolution",
    "Resolved",
]
