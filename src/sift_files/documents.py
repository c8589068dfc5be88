"""Plans as documents: plain dicts for JSON and YAML, and back with every mistake told."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import yaml

from sift_files.errors import PlanError
from sift_files.plan import FilePlan

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_plan", "plan_document", "plan_of_document", "save_plan"]

_LEFT_OUT = frozenset({"examples", "bad_cells", "bad_count"})


def plan_document(plan: FilePlan) -> dict[str, Any]:
    """A plan as a dict of plain values; what is as it would be anyway is left out."""
    document: dict[str, Any] = _plain(plan)
    return document


def plan_of_document(document: object) -> FilePlan:
    """The plan of a dict.

    Raises:
        PlanError: It has what a plan has not, lacks what it needs, or has a value of another kind;
            says where.
    """
    plan: FilePlan = _of(FilePlan, document, "plan")
    return plan


def save_plan(plan: FilePlan, path: Path) -> None:
    """Write a plan to a YAML file."""
    text = yaml.safe_dump(plan_document(plan), sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")


def load_plan(path: Path) -> FilePlan:
    """Read a plan from a file of YAML, or JSON.

    Raises:
        PlanError: It is none.
        OSError: It can't be read.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is no YAML: {error}") from None
    try:
        return plan_of_document(document)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def _plain(value: Any) -> Any:  # noqa: ANN401 (any part of a plan)
    if is_dataclass(value):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.name not in _LEFT_OUT and not _is_default(one, getattr(value, one.name))
        }
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, dict) else value


def _is_default(one: Any, value: object) -> bool:  # noqa: ANN401 (a dataclass's field)
    if one.default is not MISSING:
        return bool(one.default == value)
    return one.default_factory is not MISSING and one.default_factory() == value


def _of(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401, C901 (any part of a plan)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        if value is None:
            return None
        (kind,) = (each for each in arguments if each is not NoneType)
        return _of(kind, value, where)
    if is_dataclass(kind):
        return _dataclass_of(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise PlanError(f"{where} must be a list, not {value!r}")
        return tuple(_of(arguments[0], each, f"{where}[{at}]") for at, each in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise PlanError(f"{where} must be a mapping, not {value!r}")
        return {
            _of(arguments[0], key, where): _of(arguments[1], each, f"{where}.{key}")
            for key, each in value.items()
        }
    if issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(each.value for each in kind)
            raise PlanError(f"{where} must be one of {known}, not {value!r}") from None
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        # The number of a column, which YAML reads as a number.
        return str(value)
    if type(value) is not kind:
        raise PlanError(f"{where} must be a {kind.__name__}, not {value!r}")
    return value


def _dataclass_of(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 (any part of a plan)
    if not isinstance(value, dict):
        raise PlanError(f"{where} must be a mapping, not {value!r}")
    hints = get_type_hints(kind)
    known = {one.name: one for one in fields(kind) if one.name not in _LEFT_OUT}
    if unknown := [str(key) for key in value if key not in known]:
        raise PlanError(f"{where} has {unknown[0]!r}; it takes {', '.join(known)}")
    for name, one in known.items():
        if one.default is MISSING and one.default_factory is MISSING and name not in value:
            raise PlanError(f"{where} needs {name!r}")
    return kind(**{name: _of(hints[name], each, f"{where}.{name}") for name, each in value.items()})
