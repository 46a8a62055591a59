"""Azure: costs by day, service and one more dimension, billed and amortised; or every line of FOCUS exports.

The Query API groups by two dimensions and is asked twice for each view of the bill: by charge type, which tells what
stands apart and the totals; and then what was used, by service. Answers are told apart from none: Azure answers with
no content where it has none, and days that had costs are not believed to have lost all of them. Exports hold every
line, and are read by `export.Export`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final

from ledger.charge import Charge
from ledger.money import EXACT, ZERO
from ledger.window import DAY, Span, Window, by_month, midnight, month_start
from reconciler.connectors.azure.bill import CHARGE_TYPE, Scope, is_used
from reconciler.connectors.azure.container import Container
from reconciler.connectors.azure.export import Export
from reconciler.connectors.azure.identity import Identity
from reconciler.connectors.azure.query import VENDOR, Query, Row, View
from reconciler.connectors.azure.settings import AzureSettings
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.errors import RetryLater

TOLERANCE: Final = Decimal("0.01")
"""How far a day's parts may be from its total: Azure tells costs to some decimals and may round each row by itself."""
REMEMBERED: Final = "costs:"
"""How names of what is remembered begin: the days of a month that had costs."""
OUTSIDE: Final = "Taxes, support and credits are not in this data, so it is not the invoice."


class Azure(Connector[AzureSettings]):
    """Reads the Query API, or exports."""

    Settings = AzureSettings
    traits: ClassVar[Traits] = Traits(
        type="azure",
        title="Microsoft Azure",
        origin="api",
        gives="Billed and amortised cost per day, service and resource group, subscription, region or meter, purchases "
        "and refunds apart, without taxes, support and credits; or every line of FOCUS exports.",
        grain="Day",
        reach=timedelta(days=1095),
        settling=timedelta(days=2),
        moving=timedelta(days=36),
        longest_window=timedelta(days=31),
        rate_limit="4 calls a minute for each scope, 20 for each identity (source query)",
        credentials=(
            CredentialKey("clientSecret", "a client secret of the app registration", required=False),
            CredentialKey("sasToken", "a SAS token of the container, for source export", required=False),
        ),
    )

    def __init__(self, settings: AzureSettings, context: Context) -> None:
        super().__init__(settings, context)
        identity = Identity(settings, context)
        self._query, self._scope = Query(settings, identity, self.http), Scope(settings)
        self._export: Export | None = None
        if settings.source == "export" and settings.export is not None:
            self._export = Export(settings, Container(settings, settings.export, identity, context), context)

    @classmethod
    def traits_of(cls, settings: AzureSettings) -> Traits:
        """Files reach back as far as Azure has delivered them, and are read as often as one likes."""
        if settings.source == "query":
            return cls.traits
        gives = "Every line of FOCUS exports."
        return replace(cls.traits, origin="file", gives=gives, grain="Line", reach=None, rate_limit=None)

    @classmethod
    def credential_keys(cls, settings: AzureSettings) -> tuple[CredentialKey, ...]:
        """None where the platform says who Costhook is."""
        return cls.traits.credentials if settings.identity == "Secret" else ()

    async def check(self) -> Account:
        """Ask for this month's costs by charge type, in one call; of exports, for what was delivered."""
        if self._export is not None:
            return await self._export.account()
        today = midnight(self.context.now.date())
        rows = await self._query.rows("ActualCost", Span(month_start(today), today + DAY), self._scope.by_type)
        currencies = sorted({row.currency for row in rows})
        told = f"This month's costs are in {', '.join(currencies)}." if rows else "No costs this month yet."
        return Account(id=self._scope.path.lower(), notes=(told, OUTSIDE))

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months, newest first, as long as a question may be. Of exports, changed months.

        What they ask to be remembered is known when they have been read.
        """
        if self._export is not None:
            return await self._export.windows(due, history)
        return [Window(window.span, remember={}) for window in by_month(due, self.traits.longest_window)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        if self._export is not None:
            async for batch in self._export.charges(window):
                yield batch
            return
        found = await self._asked(window)
        for first in range(0, len(found), BATCH):
            yield found[first : first + BATCH]

    async def _asked(self, window: Window) -> list[Charge]:
        billed, used = await self._view("ActualCost", window.span)
        spread, used_spread = await self._view("AmortizedCost", window.span)
        found = self._scope.apart(billed, spread) + self._scope.used(used, used_spread)
        self._note(window, found)
        return found

    async def _view(self, view: View, span: Span) -> tuple[list[Row], list[Row]]:
        """What stands apart in a view of the bill, by charge type, and what was used, by service."""
        totals = await self._query.rows(view, span, self._scope.by_type)
        used = [row for row in totals if is_used(row.keys[0])]
        if not used:
            return totals, []
        kinds = sorted({row.keys[0] for row in used})
        parts = await self._query.rows(view, span, self._scope.by_service, (CHARGE_TYPE, kinds))
        _compare(view, used, parts)
        return [row for row in totals if not is_used(row.keys[0])], parts

    def _note(self, window: Window, found: Sequence[Charge]) -> None:
        """Have the days with costs remembered. Raises RetryLater where all of them are said to have none."""
        days = {charge.charge_period_start for charge in found}
        if not days and any(f"{day.start:%d}" in self._known(day.start) for day in window.span.pieces()):
            raise RetryLater(
                f"{VENDOR} has no costs at all from {window.start:%F} to {window.end:%F}, where it had some before; "
                "they stay as they were, and it is asked again."
            )
        for month in window.span.months():
            known = self._known(month)
            now = sorted({*known, *(f"{day:%d}" for day in days if month_start(day) == month)})
            if now != known and isinstance(window.remember, dict):
                window.remember[_name(month)] = now

    def _known(self, moment: datetime) -> Sequence[str]:
        """The days of a month that had costs, as remembered."""
        days: Sequence[str] = self.context.memory.get(_name(moment), [])
        return days


def _name(moment: datetime) -> str:
    return f"{REMEMBERED}{moment:%Y-%m}"


def _compare(view: View, totals: Sequence[Row], parts: Sequence[Row]) -> None:
    """Raise RetryLater unless the parts of every day add up to its total: Azure renewed its figures in between."""
    left: dict[tuple[object, str], Decimal] = {}
    for sign, rows in ((1, totals), (-1, parts)):
        for row in rows:
            key = (row.day, row.currency)
            left[key] = EXACT.add(left.get(key, ZERO), sign * row.cost)
    wrong = next((key for key, rest in left.items() if abs(rest) > TOLERANCE), None)
    if wrong is not None:
        raise RetryLater(
            f"{VENDOR}'s {view} of {wrong[0]} does not add up to its total: its figures changed while they were read; "
            "they are read again."
        )
