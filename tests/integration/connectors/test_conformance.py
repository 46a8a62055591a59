"""The conformance suite finds what is wrong: connectors with one fault each fail the test made for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ledger.charge import Charge
from ledger.money import amount
from ledger.window import DAY, Window, midnight
from reconciler.connectors.base import Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.http import next_cursor, pages
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError
from tests.integration.connectors.faulty import fails, traits

KEY = "vendor-0123456789"


class VendorSettings(Settings):
    """Settings of connectors that ask a server."""

    base_url: str = "https://vendor.invalid"


class Sound(Connector[VendorSettings]):
    """A connector without a fault, whose parts the others replace."""

    Settings = VendorSettings
    traits: ClassVar[Traits] = traits("vendor", (CredentialKey("apiKey", "a key"),))

    def __init__(self, settings: VendorSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.key = context.credentials["apiKey"]
        self.http.authorise({"X-Key": self.key})

    async def check(self) -> Account:
        await self.ask("/costs", {"from": "2026-03-01", "to": "2026-03-02"})
        return Account()

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        async def fetch(cursor: str | None) -> tuple[Sequence[Charge], str | None]:
            page = await self.ask("/costs", {**self.period(window), "page": cursor})
            return [self.charge(row) for row in self.rows(page)], self.cursor(page)

        async for page in pages(fetch):
            yield page

    async def ask(self, path: str, params: Mapping[str, str | None]) -> Any:
        return await self.http.json("GET", path, params=params)

    def period(self, window: Window) -> dict[str, str]:
        return {"from": window.start.date().isoformat(), "to": window.end.date().isoformat()}

    def rows(self, page: Any) -> Sequence[Any]:
        try:
            return [{"day": row["day"], "cost": row["cost"], "item": row["item"]} for row in page["rows"]]
        except (KeyError, TypeError) as error:
            raise Bug(f"not a page: {type(error).__name__}") from None

    def cursor(self, page: Any) -> str | None:
        return None if (found := next_cursor(page)) is None else str(found)

    def charge(self, row: Any) -> Charge:
        start = midnight(date.fromisoformat(row["day"]))
        return Charge(start, start + DAY, "USD", amount(row["cost"]), "api", row["item"], "Vendor")


class SoundSuite(ConnectorConformance):
    """The vendor of the connectors above."""

    connector = Sound
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}

    def settings(self, base_url: str) -> VendorSettings:
        return VendorSettings(base_url=base_url)

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        def costs(request: Request) -> Reply:
            if request.headers.get("x-key") != KEY:
                return Reply.json({}, 401)
            since, until = request.first("from") or "", request.first("to") or "9"
            known = [line for line in lines if since <= line.day.isoformat() < until]
            start = int(request.first("page") or 0)
            rows = [{"day": line.day.isoformat(), "cost": line.amount, "item": line.item} for line in known]
            end = start + self.per_page
            more = end < len(known)
            return Reply.json({"rows": rows[start:end], "has_more": more, "next_page": str(end) if more else None})

        server.route("GET", "/costs", costs)


class TestSound(SoundSuite):
    """What is sound passes all of the suite."""


class FirstPageOnly(Sound):
    """Takes the first page for everything."""

    def cursor(self, page: Any) -> str | None:
        return None


class Floating(Sound):
    """Lets an amount pass through a float."""

    def charge(self, row: Any) -> Charge:
        return super().charge({**row, "cost": Decimal(str(float(row["cost"])))})


class AlwaysFloat(Sound):
    """Gives amounts as floats."""

    def charge(self, row: Any) -> Charge:
        cost: Any = float(row["cost"])
        return super().charge(row)._replace(billed_cost=cost)


class FloatBeside(Sound):
    """Keeps what has no field of its own as a float."""

    def charge(self, row: Any) -> Charge:
        return super().charge(row)._replace(extra={"x_rates": [{"x": 0.5}]})


class WithoutCredits(Sound):
    """Takes credits for rows that need not be counted."""

    def rows(self, page: Any) -> Sequence[Any]:
        return [row for row in super().rows(page) if row["cost"] >= 0]


class Deduplicating(Sound):
    """Takes equal rows for one row."""

    def rows(self, page: Any) -> Sequence[Any]:
        return list({repr(row): row for row in super().rows(page)}.values())


class Swallowing(Sound):
    """Takes a failure for the end of the data."""

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        try:
            async for batch in super().charges(window):
                yield batch
        except ReconcilerError:
            return


class Lenient(Sound):
    """Takes a page without rows for an empty page."""

    def rows(self, page: Any) -> Sequence[Any]:
        return [row for row in page.get("rows", []) if row] if isinstance(page, dict) else []

    def cursor(self, page: Any) -> str | None:
        return page.get("next_page") if isinstance(page, dict) else None


class Fragile(Sound):
    """Lets a foreign page end in Python's own errors."""

    def rows(self, page: Any) -> Sequence[Any]:
        found: Sequence[Any] = page["rows"]
        return found


class Talkative(Sound):
    """Repeats the credential in an error."""

    async def ask(self, path: str, params: Mapping[str, str | None]) -> Any:
        try:
            return await super().ask(path, params)
        except NeedsPerson:
            raise NeedsPerson(f"the key {self.key} is refused") from None


class Circling(Sound):
    """Follows cursors wherever they lead."""

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        cursor: str | None = None
        while True:
            page = await self.ask("/costs", {**self.period(window), "page": cursor})
            yield [self.charge(row) for row in self.rows(page)]
            cursor = self.cursor(page)
            if cursor is None:
                return


class Unbounded(Sound):
    """Asks for everything, whatever the window."""

    def period(self, window: Window) -> dict[str, str]:
        return {}


class Unchecked(Sound):
    """Says of every key that it is good."""

    async def check(self) -> Account:
        return Account()


class Estimating(Sound):
    """Calls its charges something other than its traits do."""

    def charge(self, row: Any) -> Charge:
        return super().charge(row)._replace(x_origin="estimate")


class LowerCase(Sound):
    """Leaves the currency as the vendor writes it."""

    def charge(self, row: Any) -> Charge:
        return super().charge(row)._replace(billing_currency="usd")


class Unpriced(Sound):
    """Forgets the price of a row."""

    def charge(self, row: Any) -> Charge:
        return super().charge(row)._replace(billed_cost=None)


class Remembering(Sound):
    """Keeps what it read for the next time."""

    kept: ClassVar[dict[str, Any]] = {}

    async def ask(self, path: str, params: Mapping[str, str | None]) -> Any:
        name = f"{self.settings.base_url}{params}"
        if name not in self.kept:
            self.kept[name] = await super().ask(path, params)
        return self.kept[name]


class Nameless(Sound):
    """Does not say what it is."""

    traits = traits("No Name")


class Heaping(Sound):
    """Yields everything in one heap."""

    def rows(self, page: Any) -> Sequence[Any]:
        return [row for row in super().rows(page) for _ in range(2000)]


class Pointless(Sound):
    """Raises an error without words."""

    async def ask(self, path: str, params: Mapping[str, str | None]) -> Any:
        try:
            return await super().ask(path, params)
        except ReconcilerError:
            raise NeedsPerson(" ") from None


FAULTY: list[tuple[type[Sound], str, dict[str, Any]]] = [
    (FirstPageOnly, "everything_adds_up", {}),
    (FirstPageOnly, "pages_are_walked", {}),
    (Floating, "amounts_are_exact", {}),
    (AlwaysFloat, "everything_adds_up", {}),
    (FloatBeside, "everything_adds_up", {}),
    (WithoutCredits, "credits_count_negative", {}),
    (Deduplicating, "equal_lines_both_count", {}),
    (Swallowing, "refused_altogether", {"status": 401}),
    (Swallowing, "refused_at_any_request", {"status": 403}),
    (Swallowing, "server_errors_for_ever", {"status": 500}),
    (Swallowing, "silence", {}),
    (Swallowing, "answers_that_break_off", {}),
    (Swallowing, "not_json", {}),
    (Swallowing, "rate_limited_for_long", {}),
    (Swallowing, "the_call_budget_holds", {}),
    (Lenient, "json_of_another_shape", {"shape": "{}"}),
    (Fragile, "json_of_another_shape", {"shape": "[]"}),
    (Talkative, "refused_altogether", {"status": 403}),
    (Talkative, "check_of_a_refused_key", {"status": 401}),
    (Circling, "pages_without_end", {}),
    (Unbounded, "one_day_of_many", {}),
    (Unchecked, "check_of_a_refused_key", {"status": 403}),
    (Estimating, "everything_adds_up", {}),
    (LowerCase, "everything_adds_up", {}),
    (Unpriced, "days_without_charges", {}),
    (Remembering, "restated_days", {}),
    (Nameless, "traits_are_complete", {}),
    (Heaping, "everything_adds_up", {}),
    (Pointless, "refused_altogether", {"status": 401}),
]


@pytest.mark.parametrize(
    ("faulty", "test", "arguments"), FAULTY, ids=[f"{faulty.__name__}-{test}" for faulty, test, _ in FAULTY]
)
async def test_a_fault_is_found(faulty: type[Sound], test: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    """A connector with a fault does not pass the test that is there to find it, and one without does."""
    suite = type("Suite", (SoundSuite,), {"connector": faulty})()

    assert not await fails(getattr(SoundSuite(), f"test_{test}"), arguments, tmp_path)
    assert await fails(getattr(suite, f"test_{test}"), arguments, tmp_path)
