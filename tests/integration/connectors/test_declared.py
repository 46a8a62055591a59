"""The declarative connector: what every connector holds, each way to page, and the worked examples of the guide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from ledger.window import DAY, Span, Window
from reconciler.connectors.base import BATCH, Account
from reconciler.connectors.conformance import ConnectorConformance, Line
from reconciler.connectors.declared import Declared, HttpSettings
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson
from tests.integration.connectors import declared_vendors
from tests.integration.connectors.declared_talk import CHARGE, FIRST, KEY, ROW, block, opened, paged, read
from tests.integration.connectors.declared_vendors import SECRETS
from tests.integration.connectors.talk import checked, read_days

EXAMPLES = Path(__file__).parents[3] / "examples/connectors/http"


def told(lines: Sequence[Line], request: Request) -> list[Any]:
    """The rows of the period asked for."""
    since, until = request.first("from") or "", request.first("to") or ""
    return [
        {
            "day": line.day.isoformat(),
            "amount": line.amount,
            "currency": line.currency,
            "item": line.item,
            "project": line.project,
        }
        for line in lines
        if since <= line.day.isoformat() < until
    ]


class TestCursor(ConnectorConformance):
    """Pages that name the next by a cursor; the key travels in a header."""

    connector = Declared
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}
    smallest = Decimal("0.0000000001")

    def settings(self, base_url: str) -> HttpSettings:
        return HttpSettings.model_validate({"baseURL": base_url, **paged("cursor", type="Cursor", next="next")})

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        def costs(request: Request) -> Reply:
            rows, start = told(lines, request), int(request.first("cursor") or 0)
            end = start + self.per_page
            return Reply.json({"data": rows[start:end], "next": str(end) if end < len(rows) else None})

        server.route("GET", "/costs", costs)


class TestNested(ConnectorConformance):
    """Days that hold lines, pages counted by numbers until one is empty, amounts in cents, the key in the query."""

    connector = Declared
    credentials: ClassVar[Mapping[str, str]] = {"apiKey": KEY}

    def settings(self, base_url: str) -> HttpSettings:
        made = paged("page", type="Page", first=0)
        made["request"]["headers"] = []
        made["request"]["query"].append({"name": "key", "value": "${secret.apiKey}"})
        charge = {**CHARGE, "chargePeriodStart": "row().day", "billingCurrency": "answer().currency"}
        return HttpSettings.model_validate(
            {"baseURL": base_url, **made, "lines": "lines", "charge": charge, "amountUnit": "Minor"}
        )

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        def costs(request: Request) -> Reply:
            rows = told(lines, request)
            days = sorted({row["day"] for row in rows})
            start = int(request.first("page") or 0) * self.per_page
            held = [
                {
                    "day": day,
                    "lines": [{**row, "amount": int(row["amount"] * 100)} for row in rows if row["day"] == day],
                }
                for day in days[start : start + self.per_page]
            ]
            return Reply.json({"data": held, "currency": "USD"})

        server.route("GET", "/costs", costs)


PAGINGS: Mapping[str, tuple[dict[str, Any], Callable[[int, int, int], dict[str, Any]]]] = {
    "page until none is left": (paged("page", type="Page"), lambda at, end, rows: {}),
    "page while there is more": (paged("page", type="Page", more="more"), lambda at, end, rows: {"more": end < rows}),
    "page of so many": (paged("page", type="Page", last="pages"), lambda at, end, rows: {"pages": -(-rows // 3)}),
    "offset until none is left": (paged("offset", type="Offset"), lambda at, end, rows: {}),
    "offset of so many": (paged("offset", type="Offset", last="total"), lambda at, end, rows: {"total": rows}),
    "cursor while there is more": (
        paged("cursor", type="Cursor", next="next", more="more"),
        lambda at, end, rows: {"next": end, "more": end < rows},
    ),
    "link in the answer": (
        block(paging={"type": "Link", "next": "links.next"}),
        lambda at, end, rows: {"links": {"next": f"/costs?cursor={end}" if end < rows else None}},
    ),
    "link in the header": (block(paging={"type": "Link"}), lambda at, end, rows: {}),
}


@pytest.mark.parametrize("name", PAGINGS)
@pytest.mark.parametrize("count", [0, 1, 3, 7])
async def test_every_way_to_page_reads_every_row(name: str, count: int) -> None:
    """However a vendor pages, each row comes once, and an empty answer is the end."""
    settings, says = PAGINGS[name]
    rows = [{"day": "2026-03-02", "amount": f"0.0{n}", "currency": "usd", "item": f"i{n}"} for n in range(count)]

    def costs(request: Request) -> Reply:
        page = int(request.first("page") or 1) - 1
        at = int(request.first("cursor") or request.first("offset") or page * 3)
        link = {"Link": f'</costs?cursor=0>; rel="first", </costs?cursor={at + 3}>; rel="next"'}
        headers = link if name == "link in the header" and at + 3 < count else {}
        return Reply.json({"data": rows[at : at + 3], **says(at, at + 3, count)}, headers=headers)

    async with ScriptedServer() as server:
        server.route("GET", "/costs", costs)
        async with opened(server, settings) as connector:
            found = await read_days(connector, FIRST, FIRST + DAY)
        keys = [request.headers.get("x-key") for request in server.requests]

    assert [charge.sku_id for charge in found] == [row["item"] for row in rows]
    assert set(keys) == {KEY}


@pytest.mark.parametrize(
    ("paging", "answer", "reason", "words"),
    [
        ({"type": "Page"}, {}, "CursorLoop", "the same"),
        ({"type": "Page", "more": "more"}, {}, "UnexpectedAnswer", "paging.more"),
        ({"type": "Page", "last": "pages"}, {"pages": "3"}, "UnexpectedAnswer", "paging.last"),
        ({"type": "Cursor", "next": "next"}, {"next": "same"}, "CursorLoop", "same"),
        ({"type": "Cursor", "next": "next", "more": "more"}, {"more": True}, "CursorLoop", "not where"),
        ({"type": "Cursor", "next": "next"}, {"next": {"a": 1}}, "UnexpectedAnswer", "paging.next"),
        ({"type": "Cursor", "next": "abs(next)"}, {"next": "x"}, "UnexpectedAnswer", "paging.next"),
    ],
)
async def test_pages_that_do_not_end_are_refused(
    paging: Mapping[str, Any], answer: Mapping[str, Any], reason: str, words: str
) -> None:
    """A vendor that does not say where it goes on, or goes on for ever, ends the run."""
    made = paged(str(paging["type"]).lower(), **paging)
    with pytest.raises(Bug, match=words) as caught:
        await read({"data": [ROW], **answer}, **made)
    assert caught.value.reason == reason


async def test_links_to_another_host_are_refused() -> None:
    """Credentials go to the host of baseURL alone, so a next page elsewhere needs a person."""
    with pytest.raises(NeedsPerson, match=r"elsewhere\.example"):
        await read(
            {"data": [ROW], "next": "https://elsewhere.example/costs?page=2"}, paging={"type": "Link", "next": "next"}
        )


async def test_large_answers_come_in_batches() -> None:
    """However many rows a page has, a batch stays small."""
    async with ScriptedServer() as server:
        server.route("GET", "/costs", lambda _: Reply.json({"data": [ROW] * (BATCH + 1)}))
        async with opened(server, block()) as connector:
            sizes = [len(batch) async for batch in connector.charges(Window(Span.of_days(FIRST, FIRST + DAY)))]

    assert sizes == [BATCH, 1]


def example(name: str, server: ScriptedServer) -> dict[str, Any]:
    """The block of a worked example, asking `server`."""
    manifest = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    there: dict[str, Any] = manifest["spec"]["http"]
    base = f"{server.url}/v4" if name == "linode" else server.url
    return {**there, "baseURL": base}


def record(day: int, pod: str, total: str) -> dict[str, Any]:
    amounts = {"totalAmount": Decimal(total), "gpuAmount": Decimal(total), "cpuAmount": 0, "diskAmount": 0}
    times = {"startTime": f"2026-03-{day:02}T00:00:00Z", "endTime": f"2026-03-{day + 1:02}T00:00:00Z"}
    return {**times, "podId": pod, **amounts}


async def test_the_example_of_runpod() -> None:
    """Runpod's documented answer becomes a charge per pod and day."""
    async with ScriptedServer() as server:
        declared_vendors.runpod(server, [record(2, "a", "0.006994259194"), record(2, "b", "1"), record(9, "a", "7")])
        async with opened(server, example("runpod", server), SECRETS["runpod"]) as connector:
            found = await read_days(connector, FIRST, FIRST + 3 * DAY)
            account = await checked(connector)

    assert account == Account()
    assert [(charge.resource_id, charge.billed_cost) for charge in found] == [
        ("a", Decimal("0.006994259194")),
        ("b", Decimal(1)),
    ]
    assert found[0].charge_period_end - found[0].charge_period_start == DAY
    assert found[0].extra == {"x_gpu_amount": "0.006994259194", "x_cpu_amount": 0, "x_disk_amount": 0}


def cost(day: int, amount: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"cost-{day}-{amount}",
        "start_date": f"2026-03-{day:02}",
        "end_date": f"2026-03-{day + 1:02}",
        "granularity": "DAILY",
        "network_access_type": "INTERNET",
        "product": "KAFKA",
        "line_type": "KAFKA_STORAGE",
        "price": Decimal("0.00012"),
        "unit": "GB-hour",
        "quantity": Decimal("99.9"),
        "original_amount": Decimal("149.85"),
        "discount_amount": Decimal("20.85"),
        "amount": Decimal(amount),
        "resource": {"id": "lkc-1", "display_name": "prod", "environment": {"id": "env-1"}},
        **fields,
    }


async def test_the_example_of_confluent() -> None:
    """Confluent's documented answer is read over its pages, whose URLs it names, credits and bare lines included."""
    credit = cost(4, "-5.5", line_type="PROMO_CREDIT", resource=None, description="WELCOME")
    async with ScriptedServer() as server:
        declared_vendors.confluent(server, [cost(2, "129.00"), cost(3, "0.0000001"), credit])
        async with opened(server, example("confluent", server), SECRETS["confluent"]) as connector:
            found = await read_days(connector, FIRST, FIRST + 3 * DAY)
        paths = [request.target for request in server.requests]

    assert sum(charge.billed_cost or 0 for charge in found) == Decimal("123.5000001")
    assert len(paths) == 2
    first, last = found[0], found[-1]
    assert (first.service_name, first.sku_id, first.sub_account_id) == ("KAFKA", "KAFKA_STORAGE", "env-1")
    assert (first.list_cost, first.charge_category) == (Decimal("149.85"), "Usage")
    assert (last.charge_category, last.resource_id, last.charge_description) == ("Credit", None, "WELCOME")


def invoice(number: int, day: str, total: str) -> dict[str, Any]:
    tax = Decimal(total) / 10
    return {
        "billing_source": "linode",
        "date": f"{day}T00:01:01",
        "id": number,
        "label": f"Invoice #{number}",
        "subtotal": Decimal(total) - tax,
        "tax": tax,
        "tax_summary": [{"name": "PA STATE TAX", "tax": tax}],
        "total": Decimal(total),
    }


async def test_the_example_of_linode() -> None:
    """Linode's documented invoices are read page by page and filtered by date, each on the day it was made."""
    invoices = [invoice(1, "2026-02-01", "99"), invoice(2, "2026-03-01", "132.50"), invoice(3, "2026-03-04", "10")]
    async with ScriptedServer() as server:
        declared_vendors.linode(server, invoices)
        async with opened(server, example("linode", server), SECRETS["linode"]) as connector:
            found = await read_days(connector, date(2026, 3, 1), date(2026, 3, 10))

    assert [(charge.billed_cost, charge.charge_description) for charge in found] == [
        (Decimal("132.5"), "Invoice #2"),
        (Decimal(10), "Invoice #3"),
    ]
    assert found[0].extra == {"x_invoice_id": 2, "x_subtotal": "119.25", "x_tax": "13.25"}


@pytest.mark.parametrize("name", SECRETS)
async def test_the_examples_tell_a_wrong_key(name: str) -> None:
    """A key that the vendor does not know needs a person, and shows nowhere."""
    wrong = dict.fromkeys(SECRETS[name], "wrong-0123456789")
    async with ScriptedServer() as server:
        getattr(declared_vendors, name)(server, [])
        async with opened(server, example(name, server), wrong) as connector:
            error = await checked(connector)

    assert isinstance(error, NeedsPerson)
    assert error.reason == "Unauthorized"
    assert "wrong-0123456789" not in str(error)
