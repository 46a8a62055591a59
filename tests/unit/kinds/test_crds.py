"""The CRDs are those of the models, and keep Kubernetes' conventions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.kinds.catalogue import LATER, kinds
from reconciler.kinds.crds import crd, crds, write
from tests.unit.kinds.vendors import OFFERED

FOLDER = Path(__file__).parents[3] / "crds"
SHORT = {
    "Provider": "cprov",
    "ManualCost": "cmanual",
    "Budget": "cbudget",
    "Alert": "calert",
    "Channel": "cchan",
    "Allocation": "calloc",
}
CRDS = {kind.name: crd(kind) for kind in kinds(OFFERED).values()}


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from nodes(schema[inner], f"{path}.{inner}")


def schemas() -> dict[str, dict[str, Any]]:
    return {
        path: schema
        for name, found in CRDS.items()
        for path, schema in nodes(found["spec"]["versions"][0]["schema"]["openAPIV3Schema"], name)
    }


def test_the_files_are_what_the_models_say() -> None:
    """crds/ holds what `make crds` would write now, and nothing else."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == dict(crds()), "run `make crds`"


def test_writing_replaces_what_was_there(tmp_path: Path) -> None:
    """A CRD of a kind that is no more goes, and files that are none stay."""
    (tmp_path / "costhook.io_olds.yaml").touch()
    (tmp_path / "README.md").touch()
    write(tmp_path)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"README.md", *(f"costhook.io_{kind.plural}.yaml" for kind in kinds().values())}


def test_the_files_are_yaml_of_the_crds() -> None:
    """What is written reads back as the definition."""
    found = [yaml.safe_load(text) for _, text in crds()]

    assert [definition["spec"]["names"]["kind"] for definition in found] == [*SHORT]
    assert found == [crd(kind) for kind in kinds().values()]


@pytest.mark.parametrize("name", CRDS)
def test_kinds_are_found_by_their_names(name: str) -> None:
    """Each kind has the group, plural, short name and category that the guides use."""
    definition = CRDS[name]
    names = definition["spec"]["names"]

    assert definition["metadata"]["name"] == f"{names['plural']}.costhook.io"
    assert names["shortNames"] == [SHORT[name]]
    assert names["categories"] == ["costhook"]
    assert name not in LATER


@pytest.mark.parametrize("name", CRDS)
def test_tools_wait_for_the_first_reconcile(name: str) -> None:
    """A new resource has a status of a generation that no spec has, so that it does not pass for current."""
    version = CRDS[name]["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_every_field_is_described() -> None:
    """kubectl explain says something about each field."""
    inside = (".items", ".additionalProperties", ".metadata")
    bare = [path for path, schema in schemas().items() if "description" not in schema and not path.endswith(inside)]

    assert not bare


def test_everything_is_bounded() -> None:
    """No text, list or map can grow without end, which an API server would refuse to run rules over."""
    exempt = ("metadata", "apiVersion", "kind")
    loose = [
        path
        for path, schema in schemas().items()
        if not path.endswith(exempt)
        and (
            (schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys())
            or (schema.get("type") == "array" and "maxItems" not in schema)
            or ("additionalProperties" in schema and "maxProperties" not in schema)
        )
    ]

    assert not loose


def test_lists_of_named_things_are_merged_by_name() -> None:
    """Two people may each apply their own entries, and a condition is replaced by its type."""
    merged = {p: s["x-kubernetes-list-map-keys"] for p, s in schemas().items() if "x-kubernetes-list-map-keys" in s}

    assert merged["ManualCost.spec.entries"] == ["name"]
    assert merged["Provider.status.conditions"] == ["type"]
    assert merged["Provider.status.monthToDate"] == ["currency"]


def test_columns_say_how_a_provider_stands() -> None:
    """kubectl get shows type, readiness, spend, completeness and age; -o wide the rest."""
    columns = CRDS["Provider"]["spec"]["versions"][0]["additionalPrinterColumns"]

    assert [column["name"] for column in columns if "priority" not in column] == [
        "Type",
        "Ready",
        "Reason",
        "Month to date",
        "Complete through",
        "Last sync",
        "Age",
    ]
    assert [column["name"] for column in columns if column.get("priority") == 1] == ["Interval", "Suspended", "Message"]
    assert CRDS["Provider"]["spec"]["versions"][0]["selectableFields"] == [{"jsonPath": ".spec.type"}]


def test_every_column_shows_a_field_that_there_is() -> None:
    """No column is empty for ever because its path leads nowhere."""
    known = schemas()
    for name, definition in CRDS.items():
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]:
            path = column["jsonPath"].replace('[?(@.type=="Ready")]', ".items")
            assert path == ".metadata.creationTimestamp" or f"{name}{path}" in known, column
