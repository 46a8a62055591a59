"""Which Allocations answer a question, and the SQL that puts charges under what their rules say.

Each charge goes by the Allocation of its own namespace. What a rule shares out is split in the database, at
`PLACES` decimals or the amount's own if it has more; what does not divide evenly goes to the largest remainders, so
that the parts of every amount add up to it exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.allocation import ChargeMatch, KeyMatch, Rule, Taken, rules_of
from ledger.errors import InvalidQuestion
from ledger.reads.filters import Parameters, among
from ledger.reads.questions import ByAllocation, CostQuestion

PLACES: Final = 9
MAX_RULES: Final = 2_000
"""Rules one question may take, those of all namespaces together."""

# A spec that was not found good, or not yet, says nothing that could be relied on.
_IN_FORCE: Final = """
    from resource r where r.kind = 'Allocation' and r.deleted_at is null
        and (r.status ->> 'inForceGeneration')::bigint = r.generation
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of each namespace for the allocation that is grouped by, which is the `place`th group, from 1."""

    place: int
    rules: Mapping[str, Sequence[Rule]]

    @property
    def of_charges(self) -> bool:
        """Whether the daily rollup does not know all that the rules ask for."""
        return any(rule.of_charges for rule in self._all())

    @property
    def of_labels(self) -> bool:
        """Whether the rules ask for labels of the provider, which is joined as `l` then."""
        return any(rule.of_labels for rule in self._all())

    def decision(self, parameters: Parameters) -> str:
        """What becomes of a row `c`, as an array of text: v, number of the namespace, value; or s, number of the rule.

        Null for a row that no rule matches.
        """
        number, cases = 0, []
        for owner, (namespace, rules) in enumerate(self.rules.items()):
            whens = [_when(rule, owner, number + i, parameters) for i, rule in enumerate(rules)]
            number += len(rules)
            cases.append(f"when cast({parameters.add(namespace)} as text) then case {' '.join(whens)} end")
        return f"case c.namespace {' '.join(cases)} end"

    def dealt(self, cells: str, parameters: Parameters) -> str:
        """The common table `cells` and what it needs, from `cells` with a column `given` for the decision."""
        key = f"key[1:{self.place - 1}] || array[%s] || key[{self.place + 1}:]"
        return _DEALT.format(
            cells=cells,
            weights=self._weights(parameters),
            places=PLACES,
            direct=key % "given[3]",
            shared=key % "value",
        )

    def _weights(self, parameters: Parameters) -> str:
        """A row for each rule that shares, and each value, currency and period in which the value has a share."""
        numbered = list(enumerate(self._all()))
        owners = [owner for owner, rules in enumerate(self.rules.values()) for _ in rules]
        inward = [(i, owners[i]) for i, rule in numbered if rule.split == "Proportional"]
        fixed = [(i, value, weight) for i, rule in numbered for value, weight in rule.shares]
        rules, of = (parameters.add([pair[i] for pair in inward]) for i in range(2))
        named, values, weights = (parameters.add([share[i] for share in fixed]) for i in range(3))
        return f"""
            select p.rule, g.given[3] as value, g.currency, g.bucket is null as compared, sum(g.amount) as weight
            from unnest(cast({rules} as int[]), cast({of} as int[])) p (rule, owner)
            join given g on g.given[1] = 'v' and g.given[2] = p.owner::text
            group by 1, 2, 3, 4 having sum(g.amount) > 0
            union all
            select f.rule, f.value, seen.currency, seen.compared, f.weight
            from unnest(cast({named} as int[]), cast({values} as text[]), cast({weights} as bigint[]))
                f (rule, value, weight)
            cross join (select distinct currency, bucket is null as compared from given) seen
        """

    def _all(self) -> Iterator[Rule]:
        for rules in self.rules.values():
            yield from rules


_DEALT: Final = """
    given as materialized ({cells}),
    weight as ({weights}),
    scaled as (
        select rule, value, currency, compared,
            weight * ('1e' || max(scale(trim_scale(weight))) over (partition by rule, currency, compared))::numeric
                as weight
        from weight
    ),
    part as (
        select *, sum(weight) over (partition by rule, currency, compared) as whole from scaled
    ),
    shared as (
        select row_number() over () as cell, key, given[2]::int as rule, currency, bucket, origin, charges, unpriced,
            sign(amount) as sign, greatest({places}, scale(trim_scale(amount))) as places,
            abs(amount) * ('1e' || greatest({places}, scale(trim_scale(amount))))::numeric as units
        from given where given[1] = 's'
    ),
    piece as (
        select s.*, p.value, coalesce(div(s.units * p.weight, p.whole), s.units) as base,
            coalesce(mod(s.units * p.weight, p.whole), 0) as remainder
        from shared s
        left join part p on p.rule = s.rule and p.currency = s.currency and p.compared = (s.bucket is null)
    ),
    turned as (
        select *, row_number() over (partition by cell order by remainder desc, value) as turn,
            units - sum(base) over (partition by cell) as missing
        from piece
    ),
    cells as materialized (
        select {direct} as key, currency, bucket, origin, amount, charges, unpriced,
            charges as counted, unpriced as counted_unpriced
        from given where given is null or given[1] = 'v'
        union all
        select {shared}, currency, bucket, origin,
            sign * (base + (turn <= missing)::int) * ('1e-' || places)::numeric, charges, unpriced,
            case turn when 1 then charges else 0 end, case turn when 1 then unpriced else 0 end
        from turned
    )
"""


async def plan(connection: AsyncConnection, question: CostQuestion) -> Plan | None:
    """The rules that the question's allocation needs; None where it groups by none. Raises InvalidQuestion."""
    for place, group in enumerate(question.group_by, 1):
        if isinstance(group, ByAllocation):
            return Plan(place, await _rules(connection, question, group.dimension))
    return None


async def _rules(connection: AsyncConnection, question: CostQuestion, dimension: str) -> Mapping[str, Sequence[Rule]]:
    parameters = Parameters()
    wanted = f"r.spec ->> 'dimension' = cast({parameters.add(dimension)} as text)"
    named = question.filter.namespaces
    within = among({"r.namespace": None if named is None else tuple(n for n in named if n is not None)}, parameters)
    statement = f"""
        select distinct on (r.namespace) r.namespace, r.spec {_IN_FORCE} and {wanted} and {" and ".join(within)}
        order by r.namespace, r.name
    """
    rows = await connection.execute(text(statement), parameters.values)
    found = {row.namespace: rules_of(row.spec) for row in rows}
    if not found:
        raise InvalidQuestion(await _unknown(connection, dimension), "groupBy")
    if sum(map(len, found.values())) > MAX_RULES:
        raise InvalidQuestion(f"the Allocations have more than {MAX_RULES} rules; ask for fewer namespaces", "groupBy")
    return found


async def _unknown(connection: AsyncConnection, dimension: str) -> str:
    rows = await connection.execute(
        text(f"select distinct r.spec ->> 'dimension' as name {_IN_FORCE} order by 1 limit 20")
    )
    known = ", ".join(row.name for row in rows)
    there = f"there are {known}" if known else "there is none yet; declare one (docs/kinds/allocation.md)"
    return f"no Allocation that is in force here has the dimension {dimension!r}; {there}"


def _when(rule: Rule, owner: int, number: int, parameters: Parameters) -> str:
    conditions = list(_conditions(rule.match, parameters))
    if rule.split is not None:
        then = f"array['s', '{number}']"
    elif rule.taken is not None:
        value = _taken(rule.taken, parameters)
        conditions.append(f"{value} <> ''")
        then = f"array['v', '{owner}', {value}]"
    else:
        then = f"array['v', '{owner}', cast({parameters.add(rule.value)} as text)]"
    return f"when {' and '.join(conditions)} then {then}"


def _conditions(match: ChargeMatch, parameters: Parameters) -> Iterator[str]:
    yield from among({f"c.{column}": values for column, values in match.lists.items()}, parameters)
    for each in match.labels:
        yield _has("l.labels", each, parameters)
    for each in match.tags:
        yield _has("c.tags", each, parameters)


def _has(document: str, match: KeyMatch, parameters: Parameters) -> str:
    value = f"({document} ->> cast({parameters.add(match.key)} as text))"
    ways = []
    if match.values is not None:
        ways.append(f"{value} = any(cast({parameters.add(list(match.values))} as text[]))")
    if match.prefix is not None:
        ways.append(f"starts_with({value}, cast({parameters.add(match.prefix)} as text))")
    return f"({' or '.join(ways) or f'{value} is not null'})"


def _taken(taken: Taken, parameters: Parameters) -> str:
    if taken.column is not None:
        return f"c.{taken.column}"
    document, key = ("c.tags", taken.tag) if taken.tag is not None else ("l.labels", taken.label)
    return f"({document} ->> cast({parameters.add(key)} as text))"
