"""Writes what follows from the chart's values.yaml: its README and its schema (`make chart`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent / "costhook"
ROUTES: Final = Path(__file__).parents[1] / "docs/channels/alertmanager.yml"
INTRODUCTION: Final = """\
# The chart

Installs Costhook's reconciler and API, the CRDs, and what they may do. How to run it is in
[operations](../../docs/operations.md).

    helm install costhook charts/costhook --namespace costhook --create-namespace \\
      --set database.existingSecret=costhook-database

## Alertmanager

Alerts bear the labels `source: costhook`, `namespace` (the team), `severity`, `alertname` and `budget`. This
configuration of Alertmanager routes them to teams, and only what is grave to a pager; silences are its own:

```yaml
ROUTES
```

## Values

This table is made from `values.yaml` by `make chart`.

| value | default | what it is for |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Value:
    """A documented value: where it is, what it is by default, and what its comment says."""

    path: tuple[str, ...]
    default: Any
    says: str


def values(text: str) -> Iterator[Value]:
    """Every value with a comment above it, in order."""
    tree, path, said = yaml.safe_load(text), list[tuple[int, str]](), list[str]()
    for line in text.splitlines():
        bare = line.strip()
        if not bare:
            said.clear()
        elif bare.startswith("# "):
            said.append(bare[2:])
        else:
            indent = len(line) - len(line.lstrip())
            path = [*((at, name) for at, name in path if at < indent), (indent, bare.partition(":")[0])]
            if said:
                names = tuple(name for _, name in path)
                yield Value(names, _at(tree, names), " ".join(said))
                said.clear()


def readme(known: list[Value]) -> str:
    """The chart's README."""
    beginning = INTRODUCTION.replace("ROUTES\n", ROUTES.read_text())
    return beginning + "".join(_row(value) for value in known if not _has_children(value, known))


def schema(known: list[Value]) -> str:
    """The schema of the values: no others than the documented ones, and of the type of their defaults."""
    top: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", **_object()}
    top["properties"]["global"] = {"type": "object"}
    for value in known:
        inside = top
        for name in value.path[:-1]:
            inside = inside["properties"].setdefault(name, _object())
        if not _has_children(value, known):
            inside["properties"][value.path[-1]] = {"description": value.says, **_type(value)}
    return json.dumps(top, indent=2) + "\n"


def documents() -> Mapping[Path, str]:
    """Every file that is made, and what is in it."""
    known = list(values((CHART / "values.yaml").read_text()))
    crds = CHART.parents[1] / "crds"
    made = {CHART / "README.md": readme(known), CHART / "values.schema.json": schema(known)}
    return made | {CHART / "files" / "crds" / path.name: path.read_text() for path in sorted(crds.glob("*.yaml"))}


def write() -> None:
    """Write the files, and remove copies of CRDs that are no more."""
    made = documents()
    for stale in set((CHART / "files" / "crds").glob("*")) - set(made):
        stale.unlink()
    for path, text in made.items():
        path.write_text(text)


def _row(value: Value) -> str:
    default = json.dumps(value.default).replace("|", "\\|")
    return f"| `{'.'.join(value.path)}` | `{default}` | {value.says} |\n"


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _type(value: Value) -> dict[str, Any]:
    match value.default:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer", "minimum": 0}
        case str() if value.path[-1] == "pullPolicy":
            return {"enum": ["Always", "IfNotPresent", "Never"]}
        case str():
            return {"type": "string"}
        case list():
            return {"type": "array"}
    return {"type": "object"}


def _has_children(value: Value, known: list[Value]) -> bool:
    depth = len(value.path)
    return any(other.path[:depth] == value.path and len(other.path) > depth for other in known)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


if __name__ == "__main__":
    write()
