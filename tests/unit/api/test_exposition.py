"""The text that Prometheus reads, held against the library's own, which is right and takes ten times as long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.exposition import Gauge, Labels, exposition

NAMES = ("namespace", "a", "severity")
SAYS = 'By "how" much.\nA \\ in it.'
FORMATS = (
    "",
    "*/*",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text",
)

texts = st.text(st.characters(codec="utf-8") | st.sampled_from('\\"\n{}=,%'), max_size=8)
values = st.floats() | st.integers(0, 10**12) | st.none()
samples = st.lists(st.tuples(st.tuples(texts, texts, texts), values), max_size=5)


class Library(Collector):
    """The same families, made by the library."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


@pytest.mark.parametrize("accept", FORMATS)
@settings(max_examples=25)
@given(held=samples, alone=st.floats())
def test_samples_are_written_as_the_library_writes_them(
    accept: str, held: list[tuple[tuple[str, str, str], float | None]], alone: float
) -> None:
    """Whatever labels and values hold, in every format that may be asked for: the same bytes."""
    info = InfoMetricFamily("house", "What answers.", {"version": "1"})
    labelled, bare = GaugeMetricFamily("labelled", SAYS, labels=NAMES), GaugeMetricFamily("bare", SAYS)
    for key, value in held:
        if value is not None:
            labelled.add_metric(key, value)
    bare.add_metric((), alone)
    registry = CollectorRegistry()
    registry.register(Library(info, labelled, bare))
    encode, kind = choose_encoder(accept)

    labels = Labels(*NAMES)
    own = (
        Gauge("labelled", SAYS, [(labels.written(key), value) for key, value in held]),
        Gauge("bare", SAYS, [("", alone)]),
    )

    assert exposition((info, *own), accept) == (encode(registry), kind)
