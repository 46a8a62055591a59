"""Manifests are read as kubectl reads them: every text as it was written, every value with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler import manifests
from reconciler.manifests import MAX_BYTES, MAX_DEPTH, Document, ManifestError, parse

texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("xyz", min_size=2, max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


class Quoting(yaml.SafeDumper):
    """Writes every text in quotes, because PyYAML leaves bare what kubectl takes for true or false."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def parse_one(text: str) -> Any:
    try:
        (document,) = parse(text)
    except ManifestError:
        return None
    return document.value


def only(text: str) -> Document:
    (document,) = parse(text)
    return document


@given(trees.filter(lambda tree: tree is not None))
def test_documents_are_the_values_that_were_written(tree: Any) -> None:
    """Any JSON value that is written as YAML is read again as that value."""
    assert parse_one(yaml.dump(tree, Dumper=Quoting, allow_unicode=True)) == tree


@given(texts)
@example("on")
@example("010")
@example("2026-01-01")
@example("~")
def test_a_text_in_quotes_is_always_that_text(text: str) -> None:
    """Whatever it looks like, what stands in quotes arrives letter by letter."""
    quoted = text.replace("'", "''")

    assert parse_one(f"x: '{quoted}'") == {"x": text}


@given(st.dates(), st.decimals(0, 10**12, places=2))
def test_dates_and_amounts_keep_their_letters(day: Any, amount: Any) -> None:
    """A bare date is text, and the letters of a bare number are known for the message that asks for quotes."""
    document = only(f"start: {day.isoformat()}\namount: {amount:f}\n")

    assert document.value["start"] == day.isoformat()
    assert document.text(("amount",)) == f"{amount:f}"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("yes", True),
        ("off", False),
        ("Y", True),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("nUll", "nUll"),
        ("010", 8),
        ("0o17", 15),
        ("0X1F", 31),
        ("+0b11", 3),
        ("1_000", 1000),
        ("08", 8),
        ("-0", 0),
        ("45.00", 45),
        ("0.1", 0.1),
        ("1e3", 1000),
        (".5", 0.5),
        ("1e21", 1e21),
        ("99999999999999999999", 100000000000000000000),
        ("0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"),
        ("1e400", "1e400"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1.2.3", "1.2.3"),
        ("_1", "_1"),
        ("0b2", "0b2"),
        ("+", "+"),
        ("=", "="),
        ("!!str 45.00", "45.00"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_bare_words_mean_what_they_mean_to_kubectl(word: str, value: Any) -> None:
    """The words of YAML 1.1 as go-yaml reads them; each line was compared with kubectl's own answer."""
    found = parse_one(f"x: {word}")["x"]

    assert found == value
    assert type(found) is type(value)


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    """A file may hold any number of documents, comments and separators."""
    assert [document.value for document in parse("# a\n---\n---\na: 1\n---\n# b\n---\n- 2\n")] == [{"a": 1}, [2]]
    assert parse("") == []


def test_lines_are_where_the_name_of_a_field_stands() -> None:
    """A message points at the line a person has to edit, or the nearest that there is."""
    document = only("\n\na:\n  b:\n    - x\n    - c: 1\n      d:\n        e: 2\n")

    assert document.line(()) == 3
    assert document.line(("a", "b")) == 4
    assert document.line(("a", "b", 1)) == 6
    assert document.line(("a", "b", 1, "d", "e")) == 8
    assert document.line(("a", "b", 1, "missing")) == 6
    assert document.line(("a", "b", 9)) == 4
    assert document.text(("a", "b", 0)) == "x"
    assert document.text(("a", "b")) is None
    assert document.text(("a", "missing")) is None


def test_aliases_repeat_what_they_name() -> None:
    """An alias stands for the value that its anchor marks."""
    document = only("a: &x {b: [1]}\nc: *x\n")

    assert document.value == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert document.line(("c", "b")) == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [", 3, "not YAML: did not find expected node content"),
        ("a: 1\n b: 2", 2, "not YAML: mapping values are not allowed"),
        ("a: 1\nb: 2\na: 3", 3, "this field is already given on line 1; keep one of them"),
        ("a: 1\nyes: 2", 2, "this field's name reads as true, false, a number or nothing; write the name in quotes"),
        ("5: x", 1, "this field's name reads as"),
        ("? [a]\n: x", 1, "a field's name must be a single text"),
        ("&x a: 1\n*x : 2", 2, "a field's name must be a single text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", 3, "merge keys"),
        ("a: *secret", 1, "an alias"),
        ("a: &x [*x]", 1, "an alias"),
        ("a: !!python/object:os.system x", 1, "YAML tags"),
        ("a: !thing {b: 1}", 1, "YAML tags"),
        ("a: .inf", 1, "infinity and NaN are no JSON numbers"),
        ("a: x\nb: \x07", 2, "holds a control character; remove it"),
        ("[" * 100_000, 1, f"nested more than {MAX_DEPTH} levels deep"),
        ("- " * 100_000 + "x", 1, f"nested more than {MAX_DEPTH} levels deep"),
    ],
)
def test_what_cannot_be_read_is_told_by_line(text: str, line: int, said: str) -> None:
    """A file that YAML, or caution, does not allow is refused with its line and what to do."""
    with pytest.raises(ManifestError) as refused:
        parse(text)

    assert refused.value.line == line
    assert str(refused.value).startswith(said)


def test_a_few_letters_cannot_become_many_values() -> None:
    """Aliases of aliases are counted as what they stand for, and refused before they fill the memory."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))

    with pytest.raises(ManifestError, match="more than 200000 values in one document"):
        parse(bomb)


@given(st.text(st.sampled_from("hunter2 \n:-[]{}&*!|>'\"%@`#,?\\x0"), max_size=40))
def test_no_message_repeats_the_file(text: str) -> None:
    """Whatever is wrong around a secret, the message holds no word of it."""
    said = ""
    for secret in ("a: hunter2{}", "a: *hunter2{}", "a: !hunter2 {}", "a: [hunter2{}", "a: 'hunter2{}", "? hunter2{}"):
        try:
            parse(secret.replace("{}", text))
        except ManifestError as error:
            said += str(error)

    assert "hunter2" not in said


def test_nothing_shows_in_a_representation() -> None:
    """What lands in a log by accident holds no value of a manifest."""
    document = only("a: hunter2")

    assert "hunter2" not in repr(document) + repr(document.root)


def test_files_are_read_as_utf8(tmp_path: Path) -> None:
    """A byte order mark is no part of the text; another encoding is told by line."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_bytes("\N{BYTE ORDER MARK}a: Köln".encode())
    bad.write_bytes(b"a: 1\nb: K\xf6ln")

    assert manifests.read(good)[0].value == {"a": "Köln"}
    with pytest.raises(ManifestError, match="not UTF-8 text; save it as UTF-8") as refused:
        manifests.read(bad)
    assert refused.value.line == 2


def test_files_have_a_bounded_size(tmp_path: Path) -> None:
    """A file larger than anybody writes is not read to its end."""
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a: '" + b"x" * MAX_BYTES + b"'")

    with pytest.raises(ManifestError, match="larger than 4 MB; split it into several files"):
        manifests.read(path)
