"""The error of YAML files, where programs import it from."""

from sift_py.errors import YamlConfigError

__all__ = ["YamlConfigError"]
