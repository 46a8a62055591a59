"""JSON lines: one object a line, numbers with all their digits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import chain, islice
from typing import IO, Any, Final

from reconciler.connectors.focus.reader import (
    BLOCK_BYTES,
    Block,
    Reader,
    explained,
    is_wanted,
    opened,
    shortened,
    text_array,
    texts,
)
from reconciler.errors import BadData

BLOCK_LINES: Final = 1024
"""Lines read at a time: few, so that their objects stay in the processor's cache until they are columns."""

_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=str)


class JsonLinesReader(Reader):
    """One JSON object a line; numbers keep their digits."""

    def blocks(self, only: AbstractSet[str] | None = None) -> Iterator[Block]:
        import pyarrow as pa

        with explained(self), opened(self.path) as file:
            rows, seen = self._rows(file), dict[str, None]()
            while block := list(islice(rows, BLOCK_LINES)):
                numbers, objects = zip(*block, strict=True)
                seen.update(dict.fromkeys(chain.from_iterable(objects)))
                names = [name for name in seen if is_wanted(name, only)]
                columns = zip(*(texts(map(row.get, names)) for row in objects), strict=True)
                yield Block(pa.RecordBatch.from_arrays(list(map(text_array, columns)), names), numbers)

    def place(self, row: int) -> str:
        return f"line {row + 1}"

    def _rows(self, file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, line in enumerate(iter(lambda: file.readline(BLOCK_BYTES), b"")):
            text = line.decode("utf-8" if index else "utf-8-sig").strip()
            if text:
                yield index, self._row(text, index)

    def _row(self, line: str, index: int) -> dict[str, Any]:
        try:
            row = _DECODER.decode(line)
        except (ValueError, ArithmeticError, RecursionError):
            row = None
        if not isinstance(row, dict):
            expected = "where one JSON object a line is expected"
            raise BadData(f"{self.name}, {self.place(index)} is {shortened(line)}, {expected}")
        return row
