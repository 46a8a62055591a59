"""Chunks of bytes kept aside: in memory while they are few, in a temporary file beyond, and gone when it is closed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from os import SEEK_END
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, Final, NamedTuple

CODEC: Final = "lz4"
"""Rows repeat themselves: what takes a gigabyte takes some tens of megabytes, in less time than a disk takes for it."""


class _Chunk(NamedTuple):
    piece: int
    offset: int
    size: int
    whole: int | None
    """Bytes that it has unpacked; None where it is not packed."""


class Aside:
    """Chunks, each of a piece, in the order in which they came. `at_most` are the bytes that stay in memory.

    Some may be read by one thread while another one brings more.
    """

    def __init__(self, at_most: int) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=at_most)  # noqa: SIM115  # closed by close
        self._chunks: list[_Chunk] = []
        self._lock = Lock()
        self.size = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def put(self, piece: int, chunk: bytes | memoryview, *, packed: bool = False) -> None:
        """Keep a chunk; `packed` for those of thousands of rows, which Arrow packs."""
        whole = None
        if packed:
            import pyarrow as pa

            whole = len(chunk)
            chunk = pa.compress(chunk, codec=CODEC, asbytes=True)
        with self._lock:
            offset = self._file.seek(0, SEEK_END)
            self._file.write(chunk)
        self._chunks.append(_Chunk(piece, offset, len(chunk), whole))
        self.size += len(chunk) if whole is None else whole

    def get(self, pieces: Collection[int] | None = None, since: int = 0) -> Iterator[bytes]:
        """The chunks of some pieces, or of all; from the one of a number on."""
        for piece, offset, size, whole in self._chunks[since:]:
            if pieces is None or piece in pieces:
                with self._lock:
                    self._file.seek(offset)
                    chunk = self._file.read(size)
                yield chunk if whole is None else _unpacked(chunk, whole)

    def close(self) -> None:
        self._file.close()


def _unpacked(chunk: bytes, whole: int) -> bytes:
    import pyarrow as pa

    unpacked: bytes = pa.decompress(chunk, whole, codec=CODEC, asbytes=True)
    return unpacked
