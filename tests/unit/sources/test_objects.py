"""Objects in files: what names them, and what Kubernetes would refuse in their envelope."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import manifests, objects
from reconciler.objects import Contents
from reconciler.sources.base import Key
from tests.unit.sources.files import KINDS, manual, provider, secret

KNOWN = "Provider, ManualCost, Budget, Alert, Channel, Allocation, Secret"
TOP = "apiVersion: costhook.io/v1alpha1\nkind: Provider\n"


def opened(text: str) -> Contents:
    contents = Contents()
    for document in manifests.parse(text):
        for item in objects._items("x.yaml", document):
            objects._add(contents, item, KINDS)
    return contents


def told(text: str) -> list[str]:
    return [str(problem).removeprefix("x.yaml:") for problem in opened(text).problems]


def test_resources_are_named_with_their_labels_and_annotations() -> None:
    """Kind, namespace and name make the key; what a server adds to metadata is passed over."""
    (found,) = opened(
        TOP + "metadata:\n  name: a\n  uid: x\n  labels: {team: b, empty: ''}\n"
        "  annotations: {costhook.io/requested-at: now}\nspec: {type: other}\nstatus: {}\n"
    ).manifests

    assert found.key == Key("Provider", "default", "a")
    assert found.labels == {"team": "b", "empty": ""}
    assert found.annotations == {"costhook.io/requested-at": "now"}
    assert found.spec == {"type": "other"}
    assert found.item.place() == "x.yaml:1"


def test_a_list_is_its_items() -> None:
    """What `kubectl get -o yaml` prints can be put into a file as it is."""
    inner = "".join("  " + line + "\n" for line in provider("a").splitlines()).replace("  api", "- api", 1)
    contents = opened(f"apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n{inner}")

    assert [found.key.name for found in contents.manifests] == ["a"]
    assert contents.manifests[0].item.place(("spec", "type")) == "x.yaml:9"
    assert not contents.problems


@given(st.dictionaries(st.from_regex("[a-zA-Z0-9]{1,8}", fullmatch=True), st.text(max_size=20), max_size=3))
def test_secrets_are_decoded(values: dict[str, str]) -> None:
    """The values of `data` are base64 of UTF-8, however it is broken into lines."""
    lines = "".join(f"  {key!r}: '{base64.encodebytes(value.encode()).decode()}'\n" for key, value in values.items())
    (found,) = opened(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata:\n{lines}").secrets

    assert found.values == values


def test_plain_values_win_over_encoded_ones() -> None:
    """As in a cluster, stringData overwrites data."""
    (found,) = opened(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: eA==}\nstringData: {a: plain}"
    ).secrets

    assert found.values == {"a": "plain"}
    assert "plain" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just text", "1: not a manifest; it has apiVersion, kind, metadata and spec"),
        ("kind: {a: 1}", f"1 kind: no kind of Costhook's; there are {KNOWN}"),
        ("apiVersion: v1", f"1 kind: missing; there are {KNOWN}"),
        (
            "kind: Provder",
            f"1 kind: no kind of Costhook's; there are {KNOWN}; did you mean Provider?",
        ),
        ("apiVersion: costhook.io/v1\nkind: Provider", "1 apiVersion: write apiVersion: costhook.io/v1alpha1"),
        ("apiVersion: costhook.io/v1\nkind: Secret", "1 apiVersion: write apiVersion: v1"),
        ("kind: Budget", "1 apiVersion: write apiVersion: costhook.io/v1alpha1"),
        (TOP, "1 metadata.name: missing; it is required"),
        (TOP + "metadata: text", "3 metadata.name: missing; it is required"),
        (TOP + "metadata: {name: 5}", '3 metadata.name: not a text; write it in quotes: "5"'),
        (TOP + "metadata: {name: [a]}", "3 metadata.name: write a single text here"),
        (
            TOP + "metadata: {name: Open_AI}",
            "3 metadata.name: not a name; use lower-case letters, digits, - and ., at most 253 characters",
        ),
        (
            TOP + "metadata: {name: a, namespace: a.b}",
            "3 metadata.namespace: not a name; use lower-case letters, digits and -, at most 63 characters",
        ),
    ],
)
def test_what_cannot_be_told_by_its_name_leaves_the_file_unwhole(text: str, said: str) -> None:
    """A document that may be any resource is told, and the file counts as one whose resources are not all known."""
    contents = opened(text)

    assert told(text) == [said]
    assert not contents.whole
    assert not contents.manifests


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (provider("a") + "specs: {}", "6 specs: unknown field; did you mean spec?"),
        (TOP + "metadata: {name: a, label: {}}\nspec: {}", "3 metadata.label: unknown field; did you mean labels?"),
        (TOP + "metadata: {name: a, labels: []}\nspec: {}", "3 metadata.labels: write fields here: name: value"),
        (TOP + "metadata: {name: a, labels: null}\nspec: {}", None),
        (TOP + "metadata: {name: a, labels: [b]}", "3 metadata.labels: write fields here: name: value"),
        (TOP + "metadata: {name: a, labels: {b: 1}}", '3 metadata.labels.b: not a text; write it in quotes: "1"'),
        (
            TOP + "metadata: {name: a, labels: {b: c d}}",
            "3 metadata.labels.b: a label's value has letters, digits, -, _ and ., at most 63",
        ),
        (
            TOP + "metadata: {name: a, annotations: {b c: ''}}",
            "3 metadata.annotations.b c: not a name of a label; use letters, digits, -, _ and ., at most 63",
        ),
        (
            "apiVersion: costhook.io/v1alpha1\nkind: Report\nmetadata: {name: b}",
            "2 kind: Report is not supported yet; take it out",
        ),
        (secret("s", "x") + "strngData: {}", "5 strngData: unknown field; did you mean stringData?"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: x",
            "4 stringData: write fields here: name: value",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 5}",
            "4 stringData.a: not a text; write it in quotes",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: sk-ädmin}",
            "4 data.a: not base64; write the plain value under stringData instead",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: /w==}",
            "4 data.a: not UTF-8 text once decoded; credentials are text",
        ),
    ],
)
def test_what_is_wrong_with_a_named_object_leaves_the_file_whole(text: str, said: str | None) -> None:
    """A mistake in an object that is known by name concerns that object alone."""
    assert told(text) == ([] if said is None else [said])
    assert opened(text).whole


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    """What the system refuses is told by file, and the file counts as unwhole."""
    (tmp_path / "x.yaml").mkdir()
    contents = objects.read(tmp_path / "x.yaml", "x.yaml", KINDS)

    assert [str(problem) for problem in contents.problems] == ["x.yaml:1: cannot be read: Is a directory"]
    assert not contents.whole


def test_a_file_that_is_no_yaml_is_told(tmp_path: Path) -> None:
    """A file that cannot be parsed is unwhole, with the parser's line."""
    (tmp_path / "x.yaml").write_text(manual("a") + "\n]")
    contents = objects.read(tmp_path / "x.yaml", "x.yaml", KINDS)

    assert [problem.place for problem in contents.problems] == ["x.yaml:9"]
    assert not contents.whole
