"""Rules on settings that no type can say, written in CEL.

They go into the CRD, so that the API server refuses what a folder refuses. Only functions that Kubernetes' CEL has may
be used.
"""

from __future__ import annotations

from typing import Any


def rules(*each: tuple[str, str], field: str | None = None) -> dict[str, Any]:
    """For `json_schema_extra` of a field or a model: expressions that must be true of `self`, and what to do if not.

    `field`, of a rule on a model, is the field to point at.
    """
    where = {} if field is None else {"fieldPath": f".{field}"}
    return {"x-kubernetes-validations": [{"rule": rule, "message": message, **where} for rule, message in each]}
