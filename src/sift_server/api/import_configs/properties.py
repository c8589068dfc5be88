"""What files say of themselves besides their channels, as metadata of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_files import MissingLibraryError
from sift_files.damage import told_as_damage
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sift_server.api.import_configs.names import Named
    from sift_server.catalog import MetadataValue

    Metadata = tuple[tuple[str, MetadataValue], ...]


def check_run(config: Named, field: str, *, is_asked: bool) -> None:
    """Check that there is a run for the metadata that a field of a config asks for.

    Raises:
        InvalidArgumentError: There is none.
    """
    if is_asked and not (config.run_name or config.run_id):
        raise InvalidArgumentError(
            f"{field} makes metadata of a run; give the config a run_name or a run_id"
        )


def tdms_properties(path: Path) -> Metadata:
    """The properties of a TDMS file; raises as `sift_files.detect`."""
    from nptdms import TdmsFile  # noqa: PLC0415 (an extra, which is there: it was detected)

    with told_as_damage(path, "TDMS"):
        properties = TdmsFile.read_metadata(path).properties
    return tuple((str(name), _value(value)) for name, value in properties.items())


def ulog_properties(path: Path, info: Sequence[str], parameters: Sequence[str]) -> Metadata:
    """Infos and parameters of a ULog file.

    Raises:
        InvalidArgumentError: It has none of a name.
        FilesError: The file is damaged, or no ULog file.
    """
    try:
        from pyulog import ULog  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise MissingLibraryError("ulog files need pyulog: pip install 'sift-py[ulog]'") from None
    with told_as_damage(path, "ULog"):
        log = ULog(str(path), [], disable_str_exceptions=True)
    found: list[tuple[str, MetadataValue]] = []
    kinds = (("info", info, log.msg_info_dict), ("param", parameters, log.initial_parameters))
    for kind, names, known in kinds:
        for name in names:
            if name not in known:
                raise InvalidArgumentError(f"the file has no {kind} {name!r}")
            found.append((f"{kind}.{name}", _value(known[name])))
    return tuple(found)


def mcap_records(path: Path, names: Sequence[str]) -> Metadata:
    """Metadata records of an MCAP file.

    Raises:
        InvalidArgumentError: It has none of a name.
        FilesError: The file is damaged, or no MCAP file.
    """
    try:
        from mcap.reader import make_reader  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise MissingLibraryError("mcap files need mcap: pip install 'sift-py[mcap]'") from None
    records: dict[str, dict[str, str]] = {}
    with path.open("rb") as file, told_as_damage(path, "MCAP"):
        for record in make_reader(file).iter_metadata():
            records.setdefault(record.name, {}).update(record.metadata)
    if missing := [name for name in names if name not in records]:
        raise InvalidArgumentError(f"the file has no metadata record {missing[0]!r}")
    return tuple((f"{name}.{key}", value) for name in names for key, value in records[name].items())


def _value(value: Any) -> MetadataValue:  # noqa: ANN401 (of a library)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # Whole numbers that a double would change are kept as text.
        return float(value) if float(value) == value else str(value)
    return str(value)
