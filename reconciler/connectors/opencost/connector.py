"""OpenCost, read one UTC day at a time. The guide is docs/connectors/opencost.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import BATCH, Account, Connector, Settings, Traits
from reconciler.connectors.http import Refused
from reconciler.connectors.opencost.bill import BY, charges_of
from reconciler.connectors.opencost.report import Allocation, Allocations
from reconciler.connectors.reading import read
from reconciler.errors import Bug, NeedsPerson, RetryLater

ALLOCATION: Final = "/allocation"
Label = Annotated[str, Field(min_length=1, max_length=317, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]

ADVICE: Final = {
    404: "There is no allocation at this address: check opencost.baseURL, which is the API's (port 9003) and not the "
    "page's.",
}


class OpenCostSettings(Settings):
    """The block `spec.opencost` of a Provider."""

    base_url: str = Field(
        default="http://opencost.opencost.svc:9003",
        alias="baseURL",
        description="Address of OpenCost's API, as Costhook reaches it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    labels: tuple[Label, ...] = Field(
        default=(),
        description="Labels of pods by which costs are told as well, such as team; each becomes a tag.",
        max_length=8,
    )
    currency: str = Field(
        default="USD",
        description="Currency of OpenCost's price list, an ISO 4217 code: its answers do not name it.",
        pattern=r"^[A-Z]{3}$",
    )


class OpenCost(Connector[OpenCostSettings]):
    """Reads what workloads cost by OpenCost's price list."""

    Settings = OpenCostSettings
    traits: ClassVar[Traits] = Traits(
        type="opencost",
        title="OpenCost",
        origin="estimate",
        gives="What workloads of a Kubernetes cluster cost by OpenCost's price list, by day, namespace, controller and "
        "labels; idle capacity, shared costs and what no pod uses apart.",
        grain="Day",
        reach=None,
        settling=timedelta(hours=1),
        moving=timedelta(days=3),
        longest_window=DAY,
        attribution_only=True,
    )

    async def check(self) -> Account:
        """Ask what the last hour cost in all, which tells whether OpenCost answers and has its Prometheus."""
        now = self.context.now.replace(microsecond=0)
        rows = await self._allocations(Span(now - timedelta(hours=1), now), ("cluster",))
        clusters = sorted({row.properties.cluster for _, row in rows if row.properties and row.properties.cluster})
        return Account(id=", ".join(clusters) or None)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every allocation of the window's days; of today as far as it has come."""
        labels, currency = tuple(dict.fromkeys(self.settings.labels)), self.settings.currency
        by = (*BY, *(f"label:{label}" for label in labels))
        for day in window.span.pieces():
            until = min(day.end, self.context.now.replace(microsecond=0))
            if until > day.start:
                rows = await self._allocations(Span(day.start, until), by)
                found = [charge for key, row in rows for charge in charges_of(day, key, row, labels, currency)]
                for start in range(0, len(found), BATCH):
                    yield found[start : start + BATCH]

    async def _allocations(self, span: Span, by: Sequence[str]) -> list[tuple[str, Allocation]]:
        period = f"{_written(span.start)},{_written(span.end)}"
        shares = {"includeIdle": "true", "shareIdle": "false", "accumulate": "false"}
        told = read(Allocations, await self._ask({"window": period, "aggregate": ",".join(by), **shares}), "OpenCost")
        if told.code != 200:
            raise RetryLater(f"OpenCost could not work the costs out ({told.code}): {told.message[:300]}")
        if told.data is None:
            raise Bug("OpenCost's answer has no data, which is not the same as no costs.")
        rows = [(key, row) for step in told.data for key, row in (step or {}).items()]
        for _, row in rows:
            _within(row, span)
        return rows

    async def _ask(self, params: Mapping[str, str]) -> Any:
        try:
            return await self.http.json("GET", ALLOCATION, params=params)
        except Refused as refused:
            said = refused.body.get("message") if isinstance(refused.body, Mapping) else None
            advice = ADVICE.get(refused.status, f"OpenCost refused the question ({refused.status}).")
            words = f"{advice} See {self.traits.guide}. OpenCost said: {str(said or refused.text)[:300]}"
            raise NeedsPerson(words, reason=refused.reason) from None


def _within(row: Allocation, span: Span) -> None:
    """Raise Bug where the row is of another time than asked for."""
    start = row.window.start if row.window else None
    if start is not None and not span.start <= start < span.end:
        raise Bug(f"OpenCost answered with costs of {_written(start)}, which it was not asked for.")


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
