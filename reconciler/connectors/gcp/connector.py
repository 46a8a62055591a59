"""Google Cloud: costs and each kind of credit by day, from the export of Cloud Billing to BigQuery; or its FOCUS lines.

BigQuery takes money for the bytes that a query reads, so it is asked little: one small query tells on which days rows
were added since the last sync, and only those days are read, whole (see `progress`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, month_start
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, SyncPrice, Traits
from reconciler.connectors.focus.rows import batches
from reconciler.connectors.gcp.bigquery import GIB, BigQuery
from reconciler.connectors.gcp.bill import charge
from reconciler.connectors.gcp.identity import Identity
from reconciler.connectors.gcp.lines import Lines
from reconciler.connectors.gcp.progress import Found, Known, Reading
from reconciler.connectors.gcp.refusal import GUIDE
from reconciler.connectors.gcp.report import Table
from reconciler.connectors.gcp.settings import GcpSettings
from reconciler.connectors.gcp.statements import FOCUS, GOOGLE, Source, Statement
from reconciler.errors import Bug, NeedsPerson

PRICE: Final = Decimal("6.25")
"""USD for each TiB that queries read beyond the first of a month: cloud.google.com/bigquery/pricing, US."""
NO_ROWS: Final = (
    "The table has no rows yet: Google brings the first within a day after the export was switched on, and those of "
    f"the month before within five. {GUIDE}"
)
NOT_OF_ACCOUNT: Final = (
    "The table has no rows of the billing account {account} in that time: correct gcp.billingAccount, or leave it out. "
    f"{GUIDE}"
)
NOT_EXPORT: Final = f"gcp.table has no column {{missing}}: is it the export that gcp.export says? {GUIDE}"
IS_VIEW: Final = (
    "It is a view, which hides when rows were loaded: every query reads all of what is behind it. Name the table "
    "itself where the identity may read it."
)
EXPIRES: Final = (
    "Google deletes its rows after {days} days (the dataset's expiration of partitions): days older than that are not "
    "read any more, and corrections of them are not seen."
)


class Gcp(Connector[GcpSettings]):
    """Reads the standard, the detailed or the FOCUS export."""

    Settings = GcpSettings
    traits: ClassVar[Traits] = Traits(
        type="gcp",
        title="Google Cloud",
        origin="api",
        gives="Costs and each kind of credit per day, invoice month, service, SKU, project, region and labels, with "
        "resources if wanted; or every line of the FOCUS export.",
        grain="Day",
        reach=None,
        settling=timedelta(days=2),
        moving=timedelta(days=2),
        longest_window=timedelta(days=92),
        call_cost="6.25 USD for each TiB that a query reads; 1 TiB a month is free",
        credentials=(CredentialKey("serviceAccountKey", "the JSON key of a service account", required=False),),
    )

    def __init__(self, settings: GcpSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._bigquery = BigQuery(settings, Identity(settings, context), self.http)
        self._table: Table | None = None
        self._reading: Reading | None = None

    @classmethod
    def credential_keys(cls, settings: GcpSettings) -> tuple[CredentialKey, ...]:
        """None where the platform says who Costhook is."""
        return cls.traits.credentials if settings.identity == "Secret" else ()

    async def check(self) -> Account:
        """Ask what the table is and what queries over it would read, all of which is free."""
        source, table = await self._source(), await self._told()
        today = midnight(self.context.now.date())
        month = Span(month_start(today), today + DAY)
        parts = [source.changes(today - DAY, month.start), self._days(source, month)]
        found = [await self._bigquery.estimate(each) for each in parts]
        notes = [f"{table.type.capitalize()} in {table.location}."] if table.location else []
        if all(each is not None for each in found):
            notes.append(_estimate(sum((each for each in found if each is not None), Decimal(0))))
        notes += [IS_VIEW] if not source.is_pruned and "VIEW" in table.type else []
        notes += [EXPIRES.format(days=self._expiry(table).days)] if self._expiry(table) else []
        return Account(id=self.settings.billing_account, name=self.settings.table, notes=tuple(notes))

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The days that gained rows since the last sync, and those due that Google may have told more of."""
        source, table = await self._source(), await self._told()
        known = Known.remembered(self.context.memory, self._which)
        from_day = min([span.start for span in due] + ([known.from_day] if known else [history.end - DAY]))
        expiry = self._expiry(table)
        first = max(from_day, history.end - expiry) if expiry else from_day
        found = await self._found(source.changes(known.since if known else first, first))
        if known is None and not found:
            raise self._nothing(table)
        self._reading = Reading(known, self._which, found, from_day)
        return self._reading.windows(due, self.traits.settling, first, self.traits.longest_window)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        statement = self._days(await self._source(), window.span)
        is_focus = self.settings.export == "focus"
        async for rows in self._bigquery.ask(statement):
            if is_focus and rows:
                for lines in batches(Lines(self.settings.table, list(rows[0]), rows), UTC, window.span):
                    yield lines
            for first in range(0, 0 if is_focus else len(rows), BATCH):
                yield [charge(row) for row in rows[first : first + BATCH]]
        if self._reading is not None:
            self._reading.note(window.span)

    def sync_price(self, trailing: timedelta) -> SyncPrice | None:
        """At the list price, what the queries of this sync read; None of the first one, which is like no other."""
        scanned = self._bigquery.scanned
        if Known.remembered(self.context.memory, self._which) is None:
            return None
        return SyncPrice(scanned.queries, _price(Decimal(scanned.billed)))

    def _days(self, source: Source, span: Span) -> Statement:
        if self.settings.export == "focus":
            return source.lines(span)
        return source.costs(span, by_resource=self.settings.export == "detailed")

    @property
    def _which(self) -> str:
        """What tells the rows that count from those of other settings."""
        return f"{self.settings.export} {self.settings.table} {self.settings.billing_account or ''}".strip()

    async def _told(self) -> Table:
        if self._table is None:
            self._table = await self._bigquery.table()
        return self._table

    async def _source(self) -> Source:
        """What is asked. Raises NeedsPerson unless the table has the columns of the export."""
        table = await self._told()
        names = FOCUS if self.settings.export == "focus" else GOOGLE
        account = self.settings.billing_account
        found = Source(self.settings.table, names, table.schema_.fields, table.partitioning, account)
        if found.missing:
            raise NeedsPerson(NOT_EXPORT.format(missing=", ".join(found.missing)))
        return found

    async def _found(self, statement: Statement) -> list[Found]:
        found = []
        async for rows in self._bigquery.ask(statement):
            for row in rows:
                try:
                    day, rows_there = date.fromisoformat(row["day"]), int(row["found"])
                    found.append(Found(day, _time(row["hour"]), _time(row["seen"]), rows_there))
                except (KeyError, TypeError, ValueError) as error:
                    raise Bug(f"BigQuery's answer cannot be counted, so none of it was: {error!r}") from None
        return found

    def _nothing(self, table: Table) -> NeedsPerson:
        account = self.settings.billing_account
        if account and table.rows != 0:
            return NeedsPerson(NOT_OF_ACCOUNT.format(account=account))
        return NeedsPerson(NO_ROWS, reason="NoRows")

    @staticmethod
    def _expiry(table: Table) -> timedelta:
        """After how many days rows are deleted; zero if never."""
        expiration = table.partitioning.expiration if table.partitioning else None
        return timedelta(days=int(expiration) // 86_400_000) if expiration else timedelta()


def _time(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("no time")
    return value


def _estimate(size: Decimal) -> str:
    return (
        f"A sync that reads this month again reads {size / GIB:.2f} GiB, which costs {_price(size):f} USD at the list "
        "price; the first TiB of a month is free."
    )


def _price(size: Decimal) -> Decimal:
    return (size / 1024**4 * PRICE).quantize(Decimal("0.000001"))
