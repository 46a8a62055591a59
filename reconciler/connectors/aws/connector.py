"""AWS: costs by day, service, account and region, with credits, refunds, taxes and fees apart; or every line.

Cost Explorer takes 0.01 USD for each call, whatever the period, and groups by two dimensions. So a window is long, and
asked twice: by account and type of record, which tells what stands apart, the accounts and the totals; and then what
was used, by service and region of a single account, or by service and account of several. Regions of several accounts
take a call for each. An export holds every line, and is read by `export.Export`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Final

from ledger.charge import Charge
from ledger.money import EXACT, ZERO
from ledger.window import DAY, Span, Window, midnight, month_start
from reconciler.connectors.aws.bill import apart, is_used, of_account, of_service
from reconciler.connectors.aws.bucket import Bucket
from reconciler.connectors.aws.endpoints import explorer_region
from reconciler.connectors.aws.explorer import VENDOR, Explorer, Figures, Row
from reconciler.connectors.aws.export import Export
from reconciler.connectors.aws.identity import Identity
from reconciler.connectors.aws.settings import AwsSettings
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, SyncPrice, Traits
from reconciler.errors import RetryLater

PRICE: Final = Decimal("0.01")
"""USD for each call: aws.amazon.com/aws-cost-management/aws-cost-explorer/pricing."""
PRICED: Final = "us-east-1"
"""Where that is the price; what AWS takes in China is not known."""
TOLERANCE: Final = Decimal("0.01")
"""How far a day's parts may be from its total: AWS rounds each group by itself."""


class Aws(Connector[AwsSettings]):
    """Reads Cost Explorer, or an export."""

    Settings = AwsSettings
    traits: ClassVar[Traits] = Traits(
        type="aws",
        title="Amazon Web Services",
        origin="api",
        gives="Billed and amortised cost per day, service, account and region, credits, refunds, taxes and fees apart; "
        "or every line of an export.",
        grain="Day",
        reach=timedelta(days=395),
        settling=timedelta(days=1),
        moving=timedelta(days=45),
        longest_window=timedelta(days=92),
        call_cost="0.01 USD (source costExplorer)",
        credentials=(
            CredentialKey("accessKeyID", "the id of an access key (AKIA...)", required=False),
            CredentialKey("secretAccessKey", "the access key itself", required=False),
            CredentialKey("sessionToken", "the session token of a temporary access key", required=False),
        ),
    )

    def __init__(self, settings: AwsSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._identity = Identity(settings, context)
        self._explorer = Explorer(settings, self._identity, self.http)
        self._known: dict[Span, Figures] = {}
        self._export: Export | None = None
        if settings.source == "export" and settings.export is not None:
            bucket = Bucket(settings, settings.export, self._identity, self.http)
            self._export = Export(settings.export, bucket, context)

    @classmethod
    def traits_of(cls, settings: AwsSettings) -> Traits:
        """Files are free to read, and reach back as far as AWS has delivered them."""
        if settings.source == "costExplorer":
            return cls.traits
        return replace(
            cls.traits, origin="file", gives="Every line of an export.", grain="Line", reach=None, call_cost=None
        )

    @classmethod
    def credential_keys(cls, settings: AwsSettings) -> tuple[CredentialKey, ...]:
        """None where the platform says who Costhook is."""
        return cls.traits.credentials if settings.identity == "Secret" else ()

    async def check(self) -> Account:
        """Ask who the identity is, which is free, and for this month's totals, which costs one call.

        Of an export the list of what was delivered is asked for.
        """
        account, arn = await self._identity.account()
        if self._export is not None:
            newest = await self._export.newest()
            last = max(each.delivered for each in newest)
            return Account(id=account, notes=(f"As {arn}.", f"{len(newest)} months, delivered last at {last:%FT%RZ}."))
        today = midnight(self.context.now.date())
        totals = await self._explorer.figures(Span(month_start(today), today + DAY), *BY_RECORD)
        accounts = {row.keys[0] for row in totals.rows}
        said = f"{len(accounts)} account{'' if len(accounts) == 1 else 's'} with costs this month."
        return Account(id=account, name=totals.names.get(account) or None, notes=(f"As {arn}.", said))

    def sync_price(self, trailing: timedelta) -> SyncPrice | None:
        """Calls of Cost Explorer: for each window one for the totals, and one or more for what was used."""
        if self._export is not None or explorer_region(self.settings) != PRICED:
            return None
        newest = self._known[max(self._known)].rows if self._known else []
        accounts = {row.keys[0] for row in newest if is_used(row.keys[1])}
        used = max(len(accounts), 1) if self.settings.cost_explorer.regions else 1
        # With finalOnly a month that is closed and one that is not are asked for apart.
        calls = -(-(trailing + DAY) // self.traits.longest_window) * (1 + used)
        calls += used if self.settings.cost_explorer.final_only else 0
        return SyncPrice(calls, PRICE * calls)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Long windows, newest first: a call costs the same however many days it tells. Of exports, changed months."""
        if self._export is not None:
            return await self._export.windows(due, history)
        spans = list(_stretches(due, self.traits.longest_window))
        if not self.settings.cost_explorer.final_only:
            return [Window(span) for span in spans]
        return [window for span in spans for window in _by_finality(span, (await self._totals(span)).estimated)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        if self._export is None:
            found = await self._explored(window)
            for first in range(0, len(found), BATCH):
                yield found[first : first + BATCH]
            return
        async for batch in self._export.charges(window):
            yield batch

    async def _explored(self, window: Window) -> list[Charge]:
        totals = await self._totals(window.span)
        rows = [row for row in totals.rows if window.start <= midnight(row.day) < window.end]
        used = [row for row in rows if is_used(row.keys[1])]
        found = [apart(row, totals.names.get(row.keys[0])) for row in rows if not is_used(row.keys[1])]
        if used:
            parts = await self._used(window.span, used, totals)
            _compare(used, parts)
            found += parts
        return found

    async def _totals(self, span: Span) -> Figures:
        """By account and type of record; asked once for every span, and not again for its parts."""
        for known, figures in self._known.items():
            if known.start <= span.start and span.end <= known.end:
                return figures
        self._known[span] = await self._explorer.figures(span, *BY_RECORD)
        return self._known[span]

    async def _used(self, span: Span, used: Sequence[Row], totals: Figures) -> list[Charge]:
        kinds = sorted({row.keys[1] for row in used})
        accounts = sorted({row.keys[0] for row in used})
        if len(accounts) > 1 and not self.settings.cost_explorer.regions:
            told = await self._explorer.figures(span, ("SERVICE", "LINKED_ACCOUNT"), {"RECORD_TYPE": kinds})
            return [of_service(row, totals.names.get(row.keys[1])) for row in told.rows]
        found: list[Charge] = []
        for account in accounts:
            where = {"RECORD_TYPE": kinds} | ({"LINKED_ACCOUNT": [account]} if len(accounts) > 1 else {})
            told = await self._explorer.figures(span, ("SERVICE", "REGION"), where)
            found += [of_account(row, account, totals.names.get(account)) for row in told.rows]
        return found


BY_RECORD: Final = (("LINKED_ACCOUNT", "RECORD_TYPE"), dict[str, Sequence[str]]())


def _stretches(due: Sequence[Span], longest: timedelta) -> Iterable[Span]:
    """`due` cut from its end into spans of at most `longest`, newest first."""
    for span in sorted(due, reverse=True):
        end = span.end
        while end > span.start:
            start = max(span.start, end - longest)
            yield Span(start, end)
            end = start


def _by_finality(span: Span, estimated: Iterable[object]) -> list[Window]:
    """The days that AWS calls estimated, which nobody is to take for complete, apart from those before."""
    first = min((day for day in span.pieces() if day.start.date() in set(estimated)), default=None)
    if first is None:
        return [Window(span)]
    windows = [Window(Span(first.start, span.end), seen_until=first.start)]
    return windows if first.start == span.start else [*windows, Window(Span(span.start, first.start))]


def _compare(totals: Sequence[Row], parts: Sequence[Charge]) -> None:
    """Raise RetryLater unless the parts of every day add up to its total: AWS renewed its figures in between."""
    left: dict[tuple[object, str, str], Decimal] = {}
    for row in totals:
        _add(left, (row.day, row.currency, "billed"), row.billed)
        _add(left, (row.day, row.currency, "amortised"), row.effective)
    for part in parts:
        day = part.charge_period_start.date()
        _add(left, (day, part.billing_currency, "billed"), -(part.billed_cost or ZERO))
        _add(left, (day, part.billing_currency, "amortised"), -(part.effective_cost or ZERO))
    wrong = next((key for key, rest in left.items() if abs(rest) > TOLERANCE), None)
    if wrong is not None:
        raise RetryLater(
            f"{VENDOR}'s {wrong[2]} costs of {wrong[0]} do not add up to their total: its figures changed while they "
            "were read; they are read again."
        )


def _add(left: dict[tuple[object, str, str], Decimal], key: tuple[object, str, str], amount: Decimal) -> None:
    left[key] = EXACT.add(left.get(key, ZERO), amount)
