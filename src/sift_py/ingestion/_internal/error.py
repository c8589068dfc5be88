"""Where programs of the published client import the validation error from."""

from sift_py.errors import IngestionValidationError

__all__ = ["IngestionValidationError"]
