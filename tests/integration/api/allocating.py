"""Random rules, and what they make of charges in plain Python, to hold the API's answers against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from ledger import resources
from ledger.database import WriterDB
from ledger.money import EXACT, plain
from ledger.resources import Ref, Sighting
from tests.integration.api import oracle
from tests.integration.api.oracle import Owned
from tests.integration.api.questions import POOLS, PROVIDERS, TAGS
from tests.integration.ledger.conftest import READ_AT

PLACES = 9
COLUMNS = {
    "services": "service_name",
    "subAccounts": "sub_account_id",
    "regions": "region_id",
    "resources": "resource_id",
}
SOURCES = {"ServiceName": "service_name", "SubAccountId": "sub_account_id", "ResourceId": "resource_id"}
VALUES = ["search", "chat", "x"]

_keys = st.sampled_from([*TAGS, "env"])
_key_matches = st.fixed_dictionaries(
    {"key": _keys},
    optional={"values": st.just(["x", "prod"]), "prefix": st.sampled_from(["y", "pr", "7"])},
)
_matches = st.fixed_dictionaries(
    {},
    optional={
        "providers": st.lists(st.sampled_from(list(PROVIDERS)), min_size=1, max_size=2),
        **{name: st.just([value for value in POOLS[name] if value][:1]) for name in COLUMNS},
        "labels": st.lists(_key_matches, max_size=1),
        "tags": st.lists(_key_matches, max_size=1),
    },
).map(lambda held: dict(list(held.items())[:2]))
_outcomes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(VALUES).map(lambda value: {"value": value}),
    st.sampled_from([{"tag": "team"}, {"label": "env"}, *({"dimension": name} for name in (*SOURCES, "Provider"))]).map(
        lambda source: {"valueFrom": source}
    ),
    st.just({"split": "Proportional"}),
    st.dictionaries(st.sampled_from(VALUES), st.integers(1, 7), min_size=1).map(
        lambda shares: {
            "split": "Fixed",
            "shares": [{"value": value, "weight": weight} for value, weight in shares.items()],
        }
    ),
)
rules = st.lists(
    st.tuples(_matches, _outcomes).map(lambda held: {**({"match": held[0]} if held[0] else {}), **held[1]}),
    min_size=1,
    max_size=5,
)


async def declare(
    db: WriterDB, namespace: str, rules: Sequence[Mapping[str, Any]], dimension: str = "team", name: str = "teams"
) -> None:
    """An Allocation that is in force."""
    ref = Ref(namespace, "Allocation", name)
    spec = {"dimension": dimension, "rules": list(rules)}
    generation, _ = await resources.see(db, Sighting(ref, "u", 0, "s", None, {}, spec), READ_AT)
    await resources.write_status(db, ref, {"inForceGeneration": generation}, READ_AT)


Cell = tuple[tuple[str | None, ...], str, date | None, str]
"""What is grouped by besides the allocation, the currency, the bucket (None: the period compared with), the origin."""


@dataclass
class Cells:
    """Sums of charges by what the rules decide: a value, None, or the number of a rule that shares them."""

    rules: Sequence[Mapping[str, Any]]
    place: int
    amounts: dict[tuple[str | int | None, Cell], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def allocated(self) -> dict[tuple[tuple[str | None, ...], str], dict[date | None, Decimal]]:
        """Amounts by key and currency, and bucket."""
        found: dict[Any, dict[date | None, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for (decision, cell), amount in self.amounts.items():
            others, currency, bucket, _ = cell
            if isinstance(decision, int):
                parts = split(amount, self._weights(decision, currency, bucket is None))
            else:
                parts = {decision: amount}
            for value, part in parts.items():
                found[(*others[: self.place], value, *others[self.place :]), currency][bucket] += part
        return found

    def _weights(self, number: int, currency: str, compared: bool) -> dict[str, Fraction]:
        rule = self.rules[number]
        if rule["split"] == "Fixed":
            return {share["value"]: Fraction(share["weight"]) for share in rule["shares"]}
        sums: dict[str, Fraction] = defaultdict(Fraction)
        for (decision, (_, code, bucket, _)), amount in self.amounts.items():
            if isinstance(decision, str) and code == currency and (bucket is None) == compared:
                sums[decision] += Fraction(amount)
        return {value: weight for value, weight in sums.items() if weight > 0}


def split(amount: Decimal, weights: Mapping[str, Fraction]) -> dict[str | None, Decimal]:
    """The amount by largest remainder, in units of its own finest digit and of the ninth at most."""
    if not weights:
        return {None: amount}
    with localcontext(EXACT):
        return _split(amount, weights)


def _split(amount: Decimal, weights: Mapping[str, Fraction]) -> dict[str | None, Decimal]:
    exponent = amount.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    unit = Decimal(1).scaleb(-max(PLACES, -exponent))
    units, whole = int(abs(amount) / unit), sum(weights.values())
    exact = {value: units * weight / whole for value, weight in weights.items()}
    parts = {value: share.numerator // share.denominator for value, share in exact.items()}
    missing = units - sum(parts.values())
    for value in sorted(exact, key=lambda value: (parts[value] - exact[value], value))[:missing]:
        parts[value] += 1
    return {value: (part * unit).copy_sign(amount) for value, part in parts.items()}


def cells(owned: Sequence[Owned], asked: Mapping[str, Any], previous: tuple[date, date], rules: Any) -> Cells:
    """The charges that the question is about, added up by what the rules decide."""
    first, after_last = (date.fromisoformat(asked["period"][name]) for name in ("from", "to"))
    place = next(i for i, group in enumerate(asked["groupBy"]) if "allocation" in group)
    others = [group for group in asked["groupBy"] if "allocation" not in group]
    found = Cells(rules, place)
    for held in owned:
        now, before = first <= held.day < after_last, previous[0] <= held.day < previous[1]
        if not oracle.matches(held, asked["filter"]) or not (now or before):
            continue
        key, cost, charge = oracle.key(held, others), held.cost(asked["metric"]), held.charge
        bucket = oracle.bucket(held.day, first, asked["granularity"]) if now else None
        found.amounts[decide(held, rules), (key, charge.billing_currency, bucket, charge.x_origin)] += cost
    return found


def decide(held: Owned, rules: Sequence[Mapping[str, Any]]) -> str | int | None:
    """The value that the first matching rule gives, or its number where it shares the charge out."""
    for number, rule in enumerate(rules):
        if not _matches_rule(held, rule.get("match", {})):
            continue
        if "split" in rule:
            return number
        value = rule["value"] if "value" in rule else _taken(held, rule["valueFrom"])
        if value:
            return str(value)
    return None


def _matches_rule(held: Owned, match: Mapping[str, Any]) -> bool:
    tests = [getattr(held.charge, column) in match[name] for name, column in COLUMNS.items() if name in match]
    tests += [held.provider in match["providers"]] if "providers" in match else []
    tests += [_has(held.labels, each) for each in match.get("labels", ())]
    tests += [_has(held.charge.tags or {}, each) for each in match.get("tags", ())]
    return all(tests)


def _has(values: Mapping[str, str], match: Mapping[str, Any]) -> bool:
    value = values.get(match["key"])
    if value is None or not match.keys() & {"values", "prefix"}:
        return value is not None
    return value in match.get("values", ()) or ("prefix" in match and value.startswith(match["prefix"]))


def _taken(held: Owned, source: Mapping[str, str]) -> str | None:
    if "tag" in source:
        return (held.charge.tags or {}).get(source["tag"])
    if "label" in source:
        return held.labels.get(source["label"])
    return held.provider if source["dimension"] == "Provider" else getattr(held.charge, SOURCES[source["dimension"]])


def shown(allocated: Mapping[Any, Mapping[date | None, Decimal]], buckets: Sequence[str]) -> dict[Any, Any]:
    """As GraphQL shows it: amounts, total and the period compared with."""
    return {
        name: {
            "amounts": [plain(held.get(date.fromisoformat(start), Decimal(0))) for start in buckets],
            "total": plain(sum((amount for bucket, amount in held.items() if bucket), Decimal(0))),
            "previous": plain(held.get(None, Decimal(0))),
        }
        for name, held in allocated.items()
    }
