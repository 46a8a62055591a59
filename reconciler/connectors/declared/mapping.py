"""Charges out of an answer: the rows, and for each of their fields what its expression gives, or why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

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

AMOUNTS: Final = {
    "effective_cost": "effectiveCost",
    "list_cost": "listCost",
    "contracted_cost": "contractedCost",
}
QUANTITIES: Final = {"consumed_quantity": "consumedQuantity", "pricing_quantity": "pricingQuantity"}
TEXTS: Final = {
    "charge_class": "chargeClass",
    "charge_frequency": "chargeFrequency",
    "charge_description": "chargeDescription",
    "service_category": "serviceCategory",
    "billing_account_id": "billingAccountId",
    "sub_account_id": "subAccountId",
    "sub_account_name": "subAccountName",
    "region_id": "regionId",
    "resource_id": "resourceId",
    "resource_name": "resourceName",
    "sku_id": "skuId",
    "x_model": "xModel",
    "x_token_type": "xTokenType",
    "consumed_unit": "consumedUnit",
    "pricing_unit": "pricingUnit",
}


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
        self._rows = self._field("rows", settings.rows)
        self._lines = None if settings.lines is None else self._field("lines", settings.lines)
        of = settings.charge
        self._cost = self._field("charge.billedCost", of.billed_cost)
        self._currency = self._field("charge.billingCurrency", of.billing_currency)
        self._start = self._field("charge.chargePeriodStart", of.charge_period_start)
        self._end = self._optional("charge_period_end", "chargePeriodEnd")
        self._category = self._optional("charge_category", "chargeCategory")
        self._service = self._optional("service_name", "serviceName")
        self._provider = self._optional("service_provider_name", "serviceProviderName")
        self._amounts = self._given(AMOUNTS)
        self._quantities = self._given(QUANTITIES)
        self._texts = self._given(TEXTS)
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
        start = self._start.read(line, lambda value: self._calendar.moment(_there(value)))
        code = self._currency.read(line, lambda value: currency(_name(value)))
        cost = self._cost.read(line, lambda value: self._money(value, code))
        vendor = self._settings.vendor
        charge = Charge(
            charge_period_start=start,
            charge_period_end=self._ends(line, start),
            billing_currency=code,
            billed_cost=cost,
            x_origin="api",
            service_name=(self._service and self._service.read(line, _text)) or vendor,
            service_provider_name=(self._provider and self._provider.read(line, _text)) or vendor,
            charge_category=self._category_of(line, cost),
            tags=self._named(self._tags, line, _text),
            extra=self._named(self._extra, line, _json),
        )
        return charge._replace(**self._others(line, code))

    def _others(self, line: Any, code: str) -> dict[str, Any]:
        """The fields that most manifests leave out."""
        found: dict[str, Any] = {name: field.read(line, _text) for name, field in self._texts.items()}
        for name, field in self._quantities.items():
            found[name] = field.read(line, _quantity)
        for name, field in self._amounts.items():
            found[name] = field.read(line, lambda value: None if value is None else self._money(value, code))
        return found

    def _ends(self, line: Any, start: datetime) -> datetime:
        end = None if self._end is None else self._end.read(line, self._moment_or_none)
        if self._end is not None and end is not None and end <= start:
            raise self._end.unfit(f"gives {end:%Y-%m-%dT%H:%M:%SZ}, which is not after its start", line)
        return end or self._calendar.end(start)

    def _moment_or_none(self, value: Any) -> datetime | None:
        return None if value in (None, "") else self._calendar.moment(value)

    def _category_of(self, line: Any, cost: Decimal) -> Literal["Usage", "Purchase", "Tax", "Credit", "Adjustment"]:
        said = None if self._category is None else self._category.read(line, _category)
        return said or ("Credit" if cost < 0 else "Usage")

    def _money(self, value: Any, code: str) -> Decimal:
        number = _number(_there(value))
        unit = self._settings.amount_unit
        places = {"Major": 0, "Minor": minor_digits(code), "Scaled": self._settings.amount_scale}[unit]
        return amount(number.scaleb(-places, EXACT))

    def _named(self, fields: Mapping[str, Field], line: Any, convert: Callable[[Any], Any]) -> dict[str, Any] | None:
        found = {name: field.read(line, convert) for name, field in fields.items()}
        return {name: value for name, value in found.items() if value is not None} or None

    def _outside(self, start: datetime, line: Any, window: Window) -> Unfit:
        period = f"{window.start:%Y-%m-%dT%H:%MZ} to {window.end:%Y-%m-%dT%H:%MZ}"
        return self._start.unfit(
            f"gives {start:%Y-%m-%dT%H:%M:%SZ}, which is not in the period asked for ({period}); check the places in"
            " http.request and http.timeZone, or set http.outsideWindow to Skip for an API that always tells all",
            line,
        )

    def _field(self, place: str, expression: str) -> Field:
        return Field(place, expression, self._evaluator.reads(expression))

    def _optional(self, name: str, shown_as: str) -> Field | None:
        expression = getattr(self._settings.charge, name)
        return None if expression is None else self._field(f"charge.{shown_as}", expression)

    def _given(self, names: Mapping[str, str]) -> dict[str, Field]:
        fields = {name: self._optional(name, shown_as) for name, shown_as in names.items()}
        return {name: field for name, field in fields.items() if field is not None}


NOTHING: Final = "gives nothing"


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
