"""Where programs of published releases look for the error of this package."""

from sift_py.errors import DataError

__all__ = ["DataError"]
