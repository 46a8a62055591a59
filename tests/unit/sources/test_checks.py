"""`costhook check` finds, without talking to anybody, what a sync or an API server would stumble over."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from reconciler.checks import check
from reconciler.connectors.registry import GROUP, Registry
from tests.unit.sources.files import manual, provider, secret, write

EXAMPLES = Path(__file__).parents[3] / "examples"
VENDORS = "tests.unit.kinds.vendors"
REGISTRY = Registry(
    [
        EntryPoint("openai", "reconciler.connectors.openai:OpenAI", GROUP),
        EntryPoint("keyed", f"{VENDORS}:Keyed", GROUP),
        EntryPoint("listed", f"{VENDORS}:Listed", GROUP),
    ]
)


def told(root: Path) -> list[str]:
    return [str(problem) for problem in check(root, REGISTRY)]


def test_the_examples_are_good() -> None:
    """What ships as an example has no problems, though its suspended Providers have no Secrets yet."""
    assert check(EXAMPLES / "quickstart") == []


def test_good_manifests_have_no_problems(tmp_path: Path) -> None:
    """Secrets in manifests and in files are found, under the key that the Provider names."""
    write(tmp_path / "x.yaml", provider("a", "keyed", secretRef="{name: key}"), secret("key", "x"), manual("m"))
    write(tmp_path / "y.yaml", provider("b", "keyed", secretRef="{name: file, key: token}"))
    write(tmp_path / "z.yaml", provider("c", "listed", settings="{files: [a]}"))
    write(tmp_path / "secrets/file/token", "x")

    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"secretRef": "{name: absent}"}, "x.yaml:6 spec.secretRef: no Secret absent with a key apiKey in namespace"),
        (
            {"secretRef": "{name: key}"},
            "x.yaml:6 spec.secretRef: no Secret key with a key apiKey in namespace default: ",
        ),
        ({"secretRef": "{name: key, key: token}"}, "x.yaml:6 spec.secretRef: no Secret key with a key token in"),
        ({"secretRef": "{name: empty}"}, "x.yaml:6 spec.secretRef: no Secret empty with a key apiKey in namespace"),
        ({"secretRef": "{name: binary}"}, "x.yaml:6 spec.secretRef: secrets/binary/apiKey is not UTF-8 text"),
    ],
)
def test_a_missing_secret_says_where_to_put_it(tmp_path: Path, fields: dict[str, str], said: str) -> None:
    """A key that a sync would miss is told at the Provider, with what the vendor's key is."""
    write(tmp_path / "x.yaml", provider("a", "keyed", **fields))
    write(tmp_path / "s.yaml", secret("key", "x", namespace="team"), secret("empty", ""))
    write(tmp_path / "secrets/key/other", "x")
    write(tmp_path / "secrets/binary/apiKey", "")
    (tmp_path / "secrets/binary/apiKey").write_bytes(b"\xff")
    (found,) = told(tmp_path)

    assert found.startswith(said)
    assert "binary" in found or found.endswith(". A key from the console.")


def test_a_suspended_provider_needs_no_secret_yet(tmp_path: Path) -> None:
    """An example may name a Secret that its reader has still to make."""
    write(tmp_path / "x.yaml", provider("a", "keyed", secretRef="{name: absent}", suspend="true"))

    assert told(tmp_path) == []


def test_an_unknown_type_is_told_the_types_there_are(tmp_path: Path) -> None:
    """A slip in the type is found before any sync."""
    write(tmp_path / "x.yaml", provider("a", "opnai"))
    (found,) = told(tmp_path)

    assert found.startswith("x.yaml:5 spec.type: there is no connector 'opnai'")
    assert "did you mean 'openai'" in found.replace("Did", "did")


def test_settings_of_other_packages_connectors_are_checked(tmp_path: Path) -> None:
    """What the CRD leaves free is checked by the connector's own model, with the line and the letters."""
    write(tmp_path / "x.yaml", provider("a", "listed", settings="{files: [0x10], weight: 1}"))

    assert told(tmp_path) == [
        'x.yaml:6 spec.settings.files[0]: read as a number; write it in quotes: "0x10"',
        "x.yaml:6 spec.settings.weight: unknown field; did you mean weights?",
    ]


def test_problems_come_by_file_and_line(tmp_path: Path) -> None:
    """All problems of all files are told at once, in the order in which a person reads the files."""
    write(tmp_path / "b.yaml", "]")
    write(
        tmp_path / "a.yaml", "# one\n" * 10 + provider("a", interval="5x"), manual("b", "45.00"), provider("c", zzz="1")
    )

    assert told(tmp_path) == [
        'a.yaml:16 spec.interval: "5x" is not a duration; write it like 30m, 6h or 7d',
        'a.yaml:24 spec.entries[0].amount: read as a number; write it in quotes: "45.00"',
        "a.yaml:31 spec.zzz: unknown field",
        "b.yaml:1: not YAML: did not find expected node content, while parsing a block node",
    ]


def test_rules_hold_offline_too(tmp_path: Path) -> None:
    """The CEL rules of the CRDs are tried without an API server."""
    write(tmp_path / "x.yaml", provider("a", "openai", interval="1m"))
    secret_ref, interval = told(tmp_path)

    assert secret_ref.startswith("x.yaml:4 spec.secretRef: type openai needs a credential; name the v1 Secret")
    assert interval == "x.yaml:6 spec.interval: too short; write 5m or more"


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_manifests_is_a_problem(tmp_path: Path, name: str) -> None:
    """Somebody who names the wrong folder is not told that all is well."""
    (found,) = told(tmp_path / name)

    assert found.startswith(str(tmp_path / name))
    assert found.endswith("there is no such folder" if name else "they are files named *.yaml or *.yml")
