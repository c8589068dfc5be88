"""The content of a version of a calculated channel as a JSON document, which is how it is stored.

```text
{"name", "description", "units", "expression", "has_all_assets", "asset_ids", "tag_ids",
 "references": [[reference, identifier, version id, inline or null], ...],
 "metadata": [[key, value], ...], "pins": [[name, version id], ...]}
inline: [expression, [[reference, channel id or inline], ...]]
```
"""

from __future__ import annotations

import json
from typing import Any

from sift_server.catalog.calculated_content import (
    CalculatedContent,
    CalculatedReference,
    InlineExpression,
)


def to_document(content: CalculatedContent) -> str:
    """Write a content."""
    return json.dumps(
        {
            "name": content.name,
            "description": content.description,
            "units": content.units,
            "expression": content.expression,
            "has_all_assets": content.has_all_assets,
            "asset_ids": content.asset_ids,
            "tag_ids": content.tag_ids,
            "references": [
                [
                    one.reference,
                    one.identifier,
                    one.version_id,
                    None if one.inline is None else _inline_document(one.inline),
                ]
                for one in content.references
            ],
            "metadata": content.metadata,
            "pins": content.pins,
        },
        separators=(",", ":"),
    )


def from_document(text: str) -> CalculatedContent:
    """Read what `to_document` wrote."""
    document = json.loads(text)
    return CalculatedContent(
        name=document["name"],
        expression=document["expression"],
        description=document["description"],
        units=document["units"],
        references=tuple(
            CalculatedReference(
                reference, identifier, version_id, None if inline is None else _inline(inline)
            )
            for reference, identifier, version_id, inline in document["references"]
        ),
        has_all_assets=document["has_all_assets"],
        asset_ids=tuple(document["asset_ids"]),
        tag_ids=tuple(document["tag_ids"]),
        metadata=tuple((key, value) for key, value in document["metadata"]),
        pins=tuple((name, version_id) for name, version_id in document["pins"]),
    )


def _inline_document(inline: InlineExpression) -> list[Any]:
    references = [
        [name, _inline_document(one) if isinstance(one, InlineExpression) else one]
        for name, one in inline.references
    ]
    return [inline.expression, references]


def _inline(document: list[Any]) -> InlineExpression:
    expression, references = document
    return InlineExpression(
        expression,
        tuple((name, one if isinstance(one, str) else _inline(one)) for name, one in references),
    )
