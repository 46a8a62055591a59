"""Manifests for tests, as texts."""

from __future__ import annotations

from pathlib import Path

from reconciler.kinds.catalogue import kinds
from tests.unit.kinds.vendors import OFFERED

KINDS = kinds(OFFERED)


def provider(name: str, type_: str = "other", namespace: str = "default", **fields: str) -> str:
    """A Provider; `fields` are values of its spec as YAML."""
    lines = "".join(f"  {field}: {value}\n" for field, value in fields.items())
    return (
        "apiVersion: costhook.io/v1alpha1\nkind: Provider\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  type: {type_}\n{lines}"
    )


def manual(name: str, amount: str = '"45.00"') -> str:
    """A ManualCost with one entry."""
    return (
        f"apiVersion: costhook.io/v1alpha1\nkind: ManualCost\nmetadata: {{name: {name}}}\nspec:\n  currency: USD\n"
        f"  entries:\n  - {{name: a, serviceName: A, amount: {amount}, start: 2026-01-01}}\n"
    )


def secret(name: str, value: str, namespace: str = "default") -> str:
    """A Secret with the key apiKey."""
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"stringData: {{apiKey: '{value}'}}\n"
    )


def write(path: Path, *documents: str) -> None:
    """A file of these documents; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("---\n".join(documents), encoding="utf-8")
