"""What `costhook try` shows: the talk with the vendor as it goes, and the charges that come out of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.terminal.layout import NONE, Column, blocks, count, fitting, moment, table
from ledger.charge import Charge
from ledger.money import EXACT, plain
from ledger.window import Window

BODY: Final = 1500
"""Characters of a body that are shown."""
ROWS: Final = 20
"""Charges that are shown one by one."""
HIDDEN: Final = ("authorization", "cookie", "proxy-authorization")
"""Headers whose values are never shown, known secrets or not."""
TELLING: Final = ("content-type", "link", "retry-after")
"""Headers of an answer that are shown."""


class Transcript:
    """Shows requests and answers as they go; their texts come without secrets."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def asked(self, method: str, url: str, headers: Mapping[str, str], body: str) -> None:
        self._line(f"> {method} {url}", "bold")
        for name, value in headers.items():
            self._line(f">   {name}: {'***' if name.lower() in HIDDEN else value}")
        self._body(">", body)

    def answered(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self._line(f"< {status}, {count(len(body), 'character')}", "green" if status < 400 else "red")
        for name, value in headers.items():
            if name.lower() in TELLING:
                self._line(f"<   {name}: {value}")
        self._body("<", body)
        self._line("")

    def _body(self, mark: str, body: str) -> None:
        for line in shortened(body).splitlines():
            self._line(f"{mark}   {line}")

    def _line(self, text: str, style: str = "") -> None:
        printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
        self._console.print(Text(printable, style=style), soft_wrap=True)


def shortened(body: str) -> str:
    """JSON with a line for each value, its numbers as they were written, or else the text as it is; its beginning."""
    try:
        text = msgspec.json.format(body, indent=2)
    except msgspec.MsgspecError:
        text = body
    return text if len(text) <= BODY else f"{text[:BODY]}\n... ({len(text) - BODY:,} more characters)"


def shown(windows: Sequence[Window], charges: Sequence[Charge], console: Console) -> RenderableType:
    """The first charges as a table, and the sums of all."""
    columns = [
        *(Column("Start", whole=True), Column("End", whole=True), Column("Service"), Column("SKU"), Column("Account")),
        *(Column("Category", whole=True), Column("Billed", amount=True), Column("Cur.", whole=True)),
    ]
    rows = [_cells(charge) for charge in charges[:ROWS]]
    made: list[RenderableType] = [fitting(console, table(columns, rows), blocks(columns, rows))] if rows else []
    if len(charges) > ROWS:
        made.append(Text(f"... and {len(charges) - ROWS:,} more"))
    return Group(*made, *(Text(line) for line in _summary(windows, charges)))


def as_json(windows: Sequence[Window], charges: Sequence[Charge]) -> dict[str, Any]:
    """The same, whole, as JSON values."""
    return {
        "windows": [{"start": window.start, "end": window.end} for window in windows],
        "totals": [{"currency": currency, "amount": amount} for currency, amount in sorted(_totals(charges).items())],
        "charges": [
            {_camel(name): value for name, value in charge._asdict().items() if value is not None} for charge in charges
        ],
    }


def _cells(charge: Charge) -> list[Text]:
    cost = NONE if charge.billed_cost is None else plain(charge.billed_cost)
    times = (moment(charge.charge_period_start), moment(charge.charge_period_end))
    names = (charge.service_name, charge.sku_id or NONE, charge.sub_account_name or charge.sub_account_id or NONE)
    return [Text(text) for text in (*times, *names, charge.charge_category, cost, charge.billing_currency)]


def _summary(windows: Sequence[Window], charges: Sequence[Charge]) -> Iterator[str]:
    sums = ", ".join(f"{plain(amount)} {currency}" for currency, amount in sorted(_totals(charges).items()))
    yield f"{count(len(charges), 'charge')} in {count(len(windows), 'window')}{': ' if sums else ''}{sums}"
    unpriced = sum(charge.billed_cost is None for charge in charges)
    if unpriced:
        yield f"{count(unpriced, 'charge has', 'charges have')} no known price and are in no sum"
    yield "Nothing was stored."


def _totals(charges: Sequence[Charge]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT):
        for charge in charges:
            if charge.billed_cost is not None:
                totals[charge.billing_currency] += charge.billed_cost
    return totals


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
