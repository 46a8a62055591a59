"""Charges out of an answer: the rows, and for each of their fields what its expression gives, or why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic.alias_generators import to_camel

from ledger.charge import CHARGE_CATEGORIES, MAX_TEXT, Charge
from ledger.money import EXACT, InvalidAmount, amount, currency, minor_digits, plain
from ledger.window import Window
from reconciler.connectors.declared.calendar import Calendar
from reconciler.connectors.declared.expressions import Evaluator, Failed, Reads, shown
from reconciler.connectors.declared.settings import HttpSettings
from reconciler.errors import BadData

T = TypeVar("T")

SAMPLE: Final = 200
"""Characters of a row that an error shows."""

AMOUNTS: Final = ("effective_cost", "list_cost", "contracted_cost")
QUANTITIES: Final = ("consumed_quantity", "pricing_quantity")
TEXTS: Final = (
    *("service_name", "service_provider_name", "service_category", "charge_class", "charge_frequency"),
    *("charge_description", "billing_account_id", "sub_account_id", "sub_account_name", "region_id", "resource_id"),
    *("resource_name", "sku_id", "x_model", "x_token_type", "consumed_unit", "pricing_unit"),
)


class Unfit(BadData):
    """An expression gives nothing, or something of the wrong type, where a value is needed."""

    reason = "ExpressionFailed"


class Field:
    """One expression, its place in the manifest, and what reads it."""

    def __init__(self, place: str, expression: str, reads: Reads) -> None:
        self.place, self.expression, self._reads = place, expression, reads

    def read(self, given: Any, convert: Callable[[Any], T]) -> T:
        """What the expression gives on `given`, converted. Raises Unfit, with a sample of what was given."""
        try:
            return convert(self._reads(given))
        except (Failed, InvalidAmount, ValueError, OverflowError) as error:
            raise self.unfit(str(error), given) from None

    def unfit(self, why: str, given: Any) -> Unfit:
        hint = ""
        if self.expression.isidentifier() and why == NOTHING and self.place.startswith("charge."):
            hint = f"; if {self.expression} is a fixed text, write it as '{self.expression}' within quotes of YAML"
        return Unfit(
            f"http.{self.place}: the expression {self.expression} {why}{hint}. It was tried on: {sample(given)}"
        )


class Reading:
    """Reads the rows of answers as charges, as a manifest says."""

    def __init__(self, settings: HttpSettings, evaluator: Evaluator) -> None:
        self._settings, self._evaluator = settings, evaluator
        self._calendar = Calendar(settings.zone, settings.grain, settings.time_format)
        self._codes: dict[str, str] = {}
        self._rows = self._field("rows", settings.rows)
        self._lines = None if settings.lines is None else self._field("lines", settings.lines)
        of = settings.charge
        self._cost = self._field("charge.billedCost", of.billed_cost)
        self._currency = self._field("charge.billingCurrency", of.billing_currency)
        self._start = self._field("charge.chargePeriodStart", of.charge_period_start)
        self._end = self._given({"end": "charge_period_end"}).get("end")
        self._category = self._given({"category": "charge_category"}).get("category")
        self._amounts = self._given({name: name for name in AMOUNTS})
        self._quantities = self._given({name: name for name in QUANTITIES})
        self._texts = self._given({name: name for name in TEXTS})
        self._tags = {name: self._field(f"charge.tags.{name}", text) for name, text in of.tags.items()}
        self._extra = {name: self._field(f"charge.extra.{name}", text) for name, text in of.extra.items()}

    def rows(self, answer: Any) -> list[Any]:
        """The rows of an answer. Raises Unfit where there is no list of them."""
        self._evaluator.enter(answer)
        return self._rows.read(answer, _list)

    def charges(self, answer: Any, rows: list[Any], window: Window) -> Iterator[Charge]:
        """The charge of each row, or of each of its lines. Raises Unfit."""
        for row in rows:
            self._evaluator.enter(answer, row)
            for line in [row] if self._lines is None else self._lines.read(row, _list):
                charge = self._charge(line)
                if window.start <= charge.charge_period_start < window.end:
                    yield charge
                elif self._settings.outside_window == "Refuse":
                    raise self._outside(charge.charge_period_start, line, window)

    def _charge(self, line: Any) -> Charge:
        start = self._start.read(line, self._moment)
        code = self._currency.read(line, self._code)
        cost = self._cost.read(line, lambda value: self._money(_there(value), code))
        fields: dict[str, Any] = {name: field.read(line, _text) for name, field in self._texts.items()}
        for name, field in self._quantities.items():
            fields[name] = field.read(line, _quantity)
        for name, field in self._amounts.items():
            fields[name] = field.read(line, lambda value: None if value is None else self._money(value, code))
        fields["service_name"] = fields.get("service_name") or self._settings.vendor
        fields["service_provider_name"] = fields.get("service_provider_name") or self._settings.vendor
        said = None if self._category is None else self._category.read(line, _category)
        return Charge(
            charge_period_start=start,
            charge_period_end=self._calendar.end(start) if self._end is None else self._ends(self._end, line, start),
            billing_currency=code,
            billed_cost=cost,
            x_origin="api",
            charge_category=said or ("Credit" if cost < 0 else "Usage"),
            tags=_named(self._tags, line, _text) if self._tags else None,
            extra=_named(self._extra, line, _json) if self._extra else None,
            **fields,
        )

    def _ends(self, field: Field, line: Any, start: datetime) -> datetime:
        end = field.read(line, lambda value: None if value in (None, "") else self._calendar.moment(value))
        if end is not None and end <= start:
            raise field.unfit(f"gives {end:%Y-%m-%dT%H:%M:%SZ}, which is not after its start", line)
        return end or self._calendar.end(start)

    def _moment(self, value: Any) -> datetime:
        return self._calendar.moment(_there(value))

    def _code(self, value: Any) -> str:
        """The currency; every one is looked at once."""
        known = self._codes.get(value) if isinstance(value, str) else None
        if known is None:
            known = self._codes[value] = currency(_name(value))
        return known

    def _money(self, value: Any, code: str) -> Decimal:
        number = _number(value)
        unit = self._settings.amount_unit
        if unit == "Major":
            return number
        places = minor_digits(code) if unit == "Minor" else self._settings.amount_scale
        return amount(number.scaleb(-places, EXACT))

    def _outside(self, start: datetime, line: Any, window: Window) -> Unfit:
        period = f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ}"
        return self._start.unfit(
            f"gives {start:%Y-%m-%dT%H:%M:%SZ}, which is not in the period asked for ({period}); check the places in"
            " http.request and http.timeZone, or set http.outsideWindow to Skip for an API that always tells all",
            line,
        )

    def _field(self, place: str, expression: str) -> Field:
        return Field(place, expression, self._evaluator.reads(expression))

    def _given(self, names: Mapping[str, str]) -> dict[str, Field]:
        """The fields that the manifest gives, of those of ChargeFields that are named."""
        expressions = {name: getattr(self._settings.charge, field) for name, field in names.items()}
        return {
            name: self._field(f"charge.{to_camel(names[name])}", expression)
            for name, expression in expressions.items()
            if expression is not None
        }


NOTHING: Final = "gives nothing"


def _named(fields: Mapping[str, Field], line: Any, convert: Callable[[Any], Any]) -> dict[str, Any] | None:
    found = {name: field.read(line, convert) for name, field in fields.items()}
    return {name: value for name, value in found.items() if value is not None} or None


def sample(value: Any) -> str:
    """The beginning of a JSON value."""
    text = shown(value)
    return text if len(text) <= SAMPLE else f"{text[:SAMPLE]}..."


def _wrong(value: Any, wanted: str) -> ValueError:
    kinds = {bool: "true or false", str: "a text", list: "a list", dict: "an object", type(None): "nothing"}
    return ValueError(NOTHING if value is None else f"gives {kinds.get(type(value), 'a number')}, not {wanted}")


def _there(value: Any) -> Any:
    if value is None or value == "":
        raise ValueError(NOTHING)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(value, "a list")
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise _wrong(value, "an exact number")
    try:
        return amount(value)
    except InvalidAmount as error:
        raise ValueError(f"gives no number: {error}") from None


def _quantity(value: Any) -> Decimal | None:
    return None if value in (None, "") else _number(value)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "a text")
    return value


def _text(value: Any) -> str | None:
    """A text; numbers and truth values become one, since vendors write ids both ways."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = plain(value) if isinstance(value, Decimal) else str(value) if isinstance(value, int) else _name(value)
    if len(text) > MAX_TEXT:
        raise ValueError(f"gives a text of {len(text):,} characters; {MAX_TEXT:,} are the most")
    return text


def _category(value: Any) -> Any:
    if value in (None, ""):
        return None
    if value not in CHARGE_CATEGORIES:
        raise ValueError(f"gives {sample(value)}, which is none of {', '.join(sorted(CHARGE_CATEGORIES))}")
    return value


def _json(value: Any) -> Any:
    """A further column: texts, and numbers as exact texts; lists and objects with their numbers written alike."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        raise ValueError("gives a number that is not exact; write fixed numbers as texts")
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _json(inner) for name, inner in value.items()}
    return value if value != "" else None
