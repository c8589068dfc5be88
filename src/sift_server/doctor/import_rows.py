"""Data imports of a catalog that can't be used as they are, and what is made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from sift_server.catalog import JobStatus, JobType, tables
from sift_server.doctor.findings import counted

if TYPE_CHECKING:
    from sqlalchemy import Connection

_imports = tables.data_imports.c
_jobs = tables.jobs.c
_FAILED = "a repair of the catalog could not read its config; create another data import"


def unreadable_imports(connection: Connection) -> list[str]:
    """Ids of imports whose warnings nobody can read."""
    query = select(_imports.data_import_id, _imports.warnings_json)
    return [one for one, document in connection.execute(query) if not _is_list(document)]


def imports_without_config(connection: Connection) -> list[str]:
    """Ids of imports whose config nobody can read."""
    query = select(_imports.data_import_id, _imports.config_json)
    return [one for one, document in connection.execute(query) if not _is_object(document)]


def mend_imports(connection: Connection) -> list[str]:
    """Leave no import that can't be used; returns what is lost, in sentences.

    What waits for a config that is lost fails.
    """
    warnings = unreadable_imports(connection)
    configs = imports_without_config(connection)
    for data_import_id in warnings:
        _set(connection, data_import_id, warnings_json="[]")
    for data_import_id in configs:
        _set(connection, data_import_id, config_json="{}", error_message=_FAILED)
        connection.execute(
            update(tables.jobs)
            .where(_jobs.data_import_id == data_import_id, _jobs.job_type == JobType.DATA_IMPORT)
            .where(_jobs.status != JobStatus.FINISHED)
            .values(status=JobStatus.FAILED)
        )
    return [
        f"catalog.sqlite: {counted(len(lost), what, plural)} are lost."
        for lost, what, plural in (
            (warnings, "data import's warnings", "data imports' warnings"),
            (configs, "data import's config", "data imports' configs"),
        )
        if lost
    ]


def _set(connection: Connection, data_import_id: str, **values: object) -> None:
    connection.execute(
        update(tables.data_imports)
        .where(_imports.data_import_id == data_import_id)
        .values(**values)
    )


def _is_list(document: str) -> bool:
    try:
        texts = json.loads(document)
    except (ValueError, TypeError):
        return False
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


def _is_object(document: str) -> bool:
    try:
        return isinstance(json.loads(document), dict)
    except (ValueError, TypeError):
        return False
