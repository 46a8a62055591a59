"""The query string of an export: the period, and a filter whose parameters are named as GraphQL's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar, cast, get_args

from graphql import GraphQLError
from starlette.datastructures import QueryParams

from api.graphql.errors import Code
from api.graphql.http import Refusal
from api.graphql.inputs import MAX_VALUES, Origin
from api.graphql.scalars import parse_day, parse_moment
from api.principal import Principal
from ledger.errors import InvalidQuestion, TooSlow
from ledger.reads.filters import COLUMNS, Attribution, ChargeFilter, Match, Parameters, camel, where
from ledger.reads.manifests import ExportQuestion, What
from ledger.reads.periods import Period

T = TypeVar("T")


def asked(principal: Principal, parameters: QueryParams, what: What) -> ExportQuestion:
    """The question in the query string. Raises Refusal."""
    if not principal.may("export"):
        raise Refusal(403, "This takes the scope export.", Code.FORBIDDEN)
    unknown = sorted(parameters.keys() - {"from", "to", "asOf", "labels", "tags", "attribution", *map(camel, COLUMNS)})
    if unknown:
        raise Refusal(400, f"There is no parameter {unknown[0][:50]}.", Code.BAD_INPUT)
    try:
        period = Period(_day(parameters, "from"), _day(parameters, "to"))
        chosen = _filter(parameters)
        where(chosen, Parameters(), "c")  # said now, before anything is written down or sent
        return ExportQuestion(what=what, period=period, filter=chosen, as_of=_moment(parameters))
    except InvalidQuestion as error:
        raise refusal(error) from None


def _filter(parameters: QueryParams) -> ChargeFilter:
    """Parameters named as the fields of GraphQL's ChargeFilter, each as often as it has values."""
    lists: dict[str, Any] = {}
    for name in COLUMNS:
        values = tuple(parameters.getlist(camel(name)))
        if len(values) > MAX_VALUES:
            raise Refusal(400, f"At most {MAX_VALUES} values of {camel(name)}.", Code.BAD_INPUT)
        if values:
            lists[name] = tuple(map(_origin, values)) if name == "origins" else values
    return ChargeFilter(
        **lists,
        labels=_matches(parameters, "labels"),
        tags=_matches(parameters, "tags"),
        attribution=_attribution(parameters),
    )


def _attribution(parameters: QueryParams) -> Attribution | None:
    asked = parameters.get("attribution")
    for known in get_args(Attribution):
        if asked == known:
            return cast(Attribution, known)
    if asked is None:
        return None
    raise Refusal(400, "attribution is excluded, included or only.", Code.BAD_INPUT)


def _matches(parameters: QueryParams, name: str) -> tuple[Match, ...]:
    """KEY or KEY=VALUE; several values of one key mean any of them."""
    found: dict[str, list[str] | None] = {}
    for text in parameters.getlist(name)[:MAX_VALUES]:
        key, separator, value = text.partition("=")
        held = found.setdefault(key, [])
        if not separator or held is None:
            found[key] = None
        else:
            held.append(value)
    return tuple(Match(key, None if values is None else tuple(values)) for key, values in found.items())


def _origin(text: str) -> str:
    try:
        return Origin(text.lower()).value
    except ValueError:
        raise Refusal(400, "origins are api, file, manual and estimate.", Code.BAD_INPUT) from None


def _day(parameters: QueryParams, name: str) -> date:
    return _parsed(parse_day, parameters.get(name), f"{name}: a day such as 2026-11-21 is needed.")


def _moment(parameters: QueryParams) -> datetime | None:
    text = parameters.get("asOf")
    return None if text is None else _parsed(parse_moment, text, "asOf: write a time such as 2026-11-21T12:00:00Z.")


def _parsed(parse: Callable[[object], T], text: str | None, otherwise: str) -> T:
    try:
        return parse(text)
    except GraphQLError:
        raise Refusal(400, otherwise, Code.BAD_INPUT) from None


def refusal(error: Exception) -> Refusal:
    """What the client is told of the error."""
    match error:
        case Refusal():
            return error
        case InvalidQuestion():
            return Refusal(400, f"{str(error)[:1].upper()}{str(error)[1:]}.", Code.BAD_INPUT)
        case TooSlow():
            return Refusal(400, "This took too long; ask for a shorter period.", Code.TOO_SLOW)
        case _:
            return Refusal(503, "The database cannot be reached; try again soon.", Code.UNAVAILABLE)
