"""YAML manifests as documents: plain JSON values, and for each the line and the characters it was written with.

Read as kubectl reads them, and stricter where kubectl guesses or drops: names of fields that are no text, doubled
names and merge keys are refused. Documents are built from the parser's events, because PyYAML's own composer
overflows the stack on deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml
from yaml import events

from reconciler.barewords import Meaning, NoJSON, meaning

MAX_BYTES: Final = 4 * 1024 * 1024
"""The size of one file; an API server takes objects of 1.5 MB."""
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 200_000
"""Values in one document, those that aliases repeat counted each time."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE: Final = "tag:yaml.org,2002:"


class ManifestError(Exception):
    """A file that cannot be read as manifests; the text says why and never repeats what the file holds."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, and the characters that wrote it."""

    line: int
    value: Meaning = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class List:
    """Values in order."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Values by name, each with the line its name is on."""

    line: int
    fields: Mapping[str, tuple[int, Node]]


Node = Scalar | List | Fields


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    root: Node = field(repr=False)
    value: Any = field(repr=False)
    """JSON values; a float only where no integer was written."""

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the value at `path`, or of the nearest value around it."""
        return self._walk(path)[0]

    def text(self, path: Sequence[str | int]) -> str | None:
        """The characters that wrote the single value at `path`, where there is one."""
        node = self._walk(path)[1]
        return node.text if isinstance(node, Scalar) else None

    def _walk(self, path: Sequence[str | int]) -> tuple[int, Node | None]:
        line, node = self.root.line, self.root
        for step in path:
            if isinstance(node, Fields) and step in node.fields:
                line, node = node.fields[str(step)]
            elif isinstance(node, List) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                line = node.line
            else:
                return line, None
        return line, node


def read(path: Path) -> list[Document]:
    """The documents of a file, without empty ones. Raises ManifestError, OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ManifestError(1, f"larger than {MAX_BYTES // 1024**2} MB; split it into several files")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(content.count(b"\n", 0, error.start) + 1, "not UTF-8 text; save it as UTF-8") from None
    return parse(text)


def parse(text: str) -> list[Document]:
    """The documents in `text`, without empty ones. Raises ManifestError."""
    try:
        return list(_documents(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ManifestError(mark.line + 1 if mark else 1, f"not YAML: {_unquoted(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ManifestError(line, "holds a control character; remove it") from None


def _unquoted(error: yaml.MarkedYAMLError) -> str:
    """What the parser says, without the pieces of the file it may quote: they can be of a secret."""
    said = ", ".join(part for part in (error.problem, error.context) if part)
    return re.sub(r"'[^']{2,}'", "...", said)


def _documents(found: Iterator[events.Event]) -> Iterator[Document]:
    for event in found:
        if isinstance(event, events.DocumentStartEvent):
            root = _Builder(found).node(next(found), 0)
            value = _Values().of(root)
            if value is not None:
                yield Document(root, value)


class _Builder:
    """Builds the nodes of one document from the parser's events."""

    def __init__(self, found: Iterator[events.Event]) -> None:
        self._events = found
        self._anchors: dict[str, Node] = {}

    def node(self, event: events.Event, depth: int) -> Node:
        line = _line(event)
        if depth > MAX_DEPTH:
            raise ManifestError(line, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, events.AliasEvent):
            if event.anchor not in self._anchors:
                raise ManifestError(
                    line, "an alias (*) without its anchor (&) before it; write it in quotes if it is text"
                )
            return self._anchors[event.anchor]
        node = self._built(event, line, depth)
        if isinstance(event, events.NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _built(self, event: events.Event, line: int, depth: int) -> Node:
        if isinstance(event, events.ScalarEvent):
            return _scalar(event, line)
        if isinstance(event, events.CollectionStartEvent) and event.tag not in (None, f"{_CORE}seq", f"{_CORE}map"):
            _refuse_tag(line)
        if isinstance(event, events.SequenceStartEvent):
            return List(line, tuple(self.node(item, depth + 1) for item in self._until(events.SequenceEndEvent)))
        return Fields(line, dict(self._fields(depth)))

    def _fields(self, depth: int) -> Iterator[tuple[str, tuple[int, Node]]]:
        seen: dict[str, int] = {}
        for event in self._until(events.MappingEndEvent):
            line, name = _line(event), _name(event)
            if name in seen:
                raise ManifestError(line, f"this field is already given on line {seen[name]}; keep one of them")
            seen[name] = line
            yield name, (line, self.node(next(self._events), depth + 1))

    def _until(self, end: type[events.Event]) -> Iterator[events.Event]:
        while not isinstance(event := next(self._events), end):
            yield event


class _Values:
    """Turns nodes into JSON values, counting them, because aliases can make few characters many values."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, node: Node) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise ManifestError(node.line, f"more than {MAX_VALUES} values in one document")
        if isinstance(node, Scalar):
            return node.value
        if isinstance(node, List):
            return [self.of(item) for item in node.items]
        return {name: self.of(inner) for name, (_, inner) in node.fields.items()}


def _scalar(event: events.ScalarEvent, line: int) -> Scalar:
    if event.tag not in (None, "!", f"{_CORE}str"):
        _refuse_tag(line)
    plain = event.implicit[0] and event.style in (None, "")
    return Scalar(line, _meaning(event.value, line) if plain else event.value, event.value)


def _meaning(text: str, line: int) -> Meaning:
    try:
        return meaning(text)
    except NoJSON:
        raise ManifestError(line, "infinity and NaN are no JSON numbers; write it in quotes if it is text") from None


def _name(event: events.Event) -> str:
    if not isinstance(event, events.ScalarEvent):
        raise ManifestError(_line(event), "a field's name must be a single text")
    if event.implicit[0] and event.style in (None, ""):
        if event.value == "<<":
            raise ManifestError(_line(event), "merge keys (<<) are not supported; write the fields out")
        meant = _meaning(event.value, _line(event))
        if event.value == "on" and meant is True:
            return "true"  # as kubectl has it; an Alert's field knows both names
        if not isinstance(meant, str):
            said = "this field's name reads as true, false, a number or nothing; write the name in quotes"
            raise ManifestError(_line(event), said)
    return str(_scalar(event, _line(event)).text)


def _refuse_tag(line: int) -> NoReturn:
    raise ManifestError(line, "YAML tags (!name) are not supported; leave the tag out")


def _line(event: events.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
