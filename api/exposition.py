"""Figures as Prometheus reads them: in its own text format, or as OpenMetrics where that is asked for.

Which format is wanted, and how a family is introduced in it, is the library's. Samples are alike in both and are
written here: the library takes 8 µs for each, mostly for labels, which the families of one thing have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Labels:
    """The names of labels, and how sets of their values are written: once, for all samples that have them."""

    def __init__(self, *names: str) -> None:
        self._places = sorted(range(len(names)), key=names.__getitem__)
        self._form = "{" + ",".join(f'{names[place]}="%s"' for place in self._places) + "}"

    def written(self, values: Sequence[str]) -> str:
        """The values, in the order of the names, as samples have them."""
        return self._form % tuple([_escaped(values[place]) for place in self._places])


@dataclass(frozen=True, slots=True)
class Gauge:
    """A family of samples: labels as `Labels` writes them ("" for none), and a value; None: there is no such sample."""

    name: str
    says: str
    samples: Iterable[tuple[str, float | None]]

    def lines(self) -> Iterator[str]:
        for labels, value in self.samples:
            if value is not None:
                written = floatToGoString(value)  # type: ignore[no-untyped-call]  # the library's types lack it
                yield f"{self.name}{labels} {written}\n"


class _Families(Collector):
    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(families: Iterable[Gauge | Metric], accept: str) -> tuple[bytes, str]:
    """The families in the format that the header Accept asks for, and its media type."""
    encode, kind = choose_encoder(accept)
    end = encode(_Families())
    parts = []
    for family in families:
        metric = GaugeMetricFamily(family.name, family.says) if isinstance(family, Gauge) else family
        parts.append(encode(_Families(metric)).removesuffix(end))
        if isinstance(family, Gauge):
            parts.append("".join(family.lines()).encode())
    return b"".join((*parts, end)), kind


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
