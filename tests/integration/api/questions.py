"""Random ledgers and random questions about them, drawn from few values so that they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st

from ledger import accounts
from ledger.accounts import Account
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.window import DAY, Span
from tests.integration.api.oracle import DIMENSIONS, FIELDS, Owned
from tests.integration.ledger.conftest import READ_AT, Desk

FIRST = datetime(2026, 9, 28, tzinfo=UTC)
SPAN = Span(FIRST, FIRST + 7 * DAY)
LATER = READ_AT + timedelta(hours=1)
MOMENTS = {"before": READ_AT - timedelta(hours=1), "between": READ_AT + timedelta(minutes=1), "now": None}

POOLS: Mapping[str, Sequence[Any]] = {
    "services": ["api", "web"],
    "serviceCategories": [None, "Compute"],
    "subAccounts": [None, "p1"],
    "models": [None, "m1", "m2"],
    "tokenTypes": [None, "input"],
    "regions": [None, "eu"],
    "resources": [None, "r1"],
    "skus": ["s1", "s2", None],
    "currencies": ["USD", "EUR"],
    "chargeCategories": ["Usage", "Credit"],
}
PROVIDERS = {"alpha": {"env": "prod"}, "beta": {"env": "test", "team": "x"}, "gamma": {}}
TAGS = {"team": ["x", "y"], "cost center": ["7"]}

amounts = st.decimals(min_value=-1000, max_value=1000, places=6)
_tags = st.none() | st.fixed_dictionaries({}, optional={name: st.sampled_from(held) for name, held in TAGS.items()})


def _charge(start: int, values: tuple[Any, ...]) -> Charge:
    dimensions, currency, billed, other, origin, tags = values
    begun = FIRST + timedelta(hours=start)
    named = {FIELDS[name]: value for name, value in dimensions.items()}
    named.pop("billing_currency", None)
    return Charge(
        begun,
        begun + DAY,
        currency,
        billed,
        origin,
        service_provider_name="Vendor",
        effective_cost=other,
        list_cost=billed,
        tags=tags,
        **named,
    )


_dimensions = st.fixed_dictionaries(
    {name: st.sampled_from(pool) for name, pool in POOLS.items() if name != "currencies"}
)
charges = st.lists(
    st.builds(
        _charge,
        st.integers(0, 7 * 24 - 1),
        st.tuples(
            _dimensions,
            st.sampled_from(POOLS["currencies"]),
            st.none() | amounts,
            st.none() | amounts,
            st.sampled_from(["api", "file", "manual"]),
            _tags,
        ),
    ),
    max_size=12,
)
ledgers = st.fixed_dictionaries({name: st.tuples(charges, charges) for name in PROVIDERS})
"""Per provider what the vendor said first, and what it said later."""

_match = st.sampled_from([(k, v) for k, vs in {**TAGS, "env": ["prod"]}.items() for v in (None, vs, [])]).map(
    lambda held: {"key": held[0]} if held[1] is None else {"key": held[0], "values": held[1]}
)
_lists: dict[str, st.SearchStrategy[Any]] = {
    name: st.lists(st.sampled_from([*pool, *(["never"] if name != "origins" else [])]), max_size=3)
    for name, pool in {**POOLS, "providers": list(PROVIDERS), "origins": ["API", "FILE", "MANUAL"]}.items()
}
_plain = st.fixed_dictionaries(
    {}, optional={**_lists, "tags": st.lists(_match, max_size=2), "labels": st.lists(_match, max_size=2)}
)


def _few(chosen: dict[str, Any]) -> dict[str, Any]:
    """At most three of the fields, or nothing would ever be left."""
    return dict(list(chosen.items())[:3])


filters = st.recursive(
    _plain.map(_few),
    lambda inner: st.tuples(_plain.map(_few), inner).map(lambda held: {**held[0], "not": held[1]}),
    max_leaves=3,
)
groups = st.lists(
    st.sampled_from([{"dimension": name} for name in ("NAMESPACE", "PROVIDER", *DIMENSIONS)])
    | st.sampled_from([{"tag": "team"}, {"tag": "cost center"}, {"label": "env"}]),
    max_size=3,
    unique_by=str,
)


def _period(held: tuple[int, int]) -> dict[str, str]:
    first, length = held
    start = (FIRST + first * DAY).date()
    return {"from": start.isoformat(), "to": (start + timedelta(days=length)).isoformat()}


questions = st.fixed_dictionaries(
    {
        "period": st.tuples(st.integers(-3, 6), st.integers(1, 10)).map(_period),
        "groupBy": groups,
        "granularity": st.sampled_from(["TOTAL", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]),
        "metric": st.sampled_from(["BILLED_COST", "EFFECTIVE_COST", "LIST_COST"]),
        "filter": filters,
        "moment": st.sampled_from(list(MOMENTS)),
    }
)


@dataclass
class Books:
    """A ledger of one namespace, and what it was told."""

    namespace: str
    told: Mapping[str, tuple[Sequence[Charge], Sequence[Charge]]]

    def owned(self, moment: str) -> list[Owned]:
        """The charges that were believed at the moment."""
        if moment == "before":
            return []
        index = 0 if moment == "between" else 1
        return [
            Owned(self.namespace, name, PROVIDERS[name], charge)
            for name, said in self.told.items()
            for charge in said[index]
        ]


async def keep(db: WriterDB, told: Mapping[str, tuple[Sequence[Charge], Sequence[Charge]]]) -> Books:
    """A ledger that was told this, in a namespace of its own."""
    namespace = f"team-{uuid4().hex[:10]}"
    for name, (first, later) in told.items():
        account = Account(namespace, name, "Provider", "openai", PROVIDERS[name])
        await accounts.register(db, account, READ_AT)
        desk = Desk(db, namespace, name)
        await desk.sync(SPAN, first)
        await desk.sync(SPAN, later, at=LATER)
    return Books(namespace, told)
