"""The SQL of replacing a window: what `ledger.replacement` runs, in its order.

`touched` names the pieces at work: `fresh` ones were written directly. Of the others, `staged` holds the keys of
all rows that the vendor returned, `wanted` how many of each, `missing` those the ledger has not, `incoming` their
values. `added` and `gone` are the rows that come in and go out, `summed` what was written directly, by day and by
the dimensions of the rollup. All are temporary and go with the transaction. `:start` and `:end` are the window's,
`:since` and `:until` those of the pieces at work.
"""

from __future__ import annotations

from ledger.schema import CHARGE_COLUMNS, DIMENSIONS, ROLLUP_DIMENSIONS, ROLLUP_SUMS
from ledger.sums import SUMMED_COLUMNS

_COLUMNS = ", ".join(CHARGE_COLUMNS)
_GROUPS = ", ".join(ROLLUP_DIMENSIONS)
_SUMS = ", ".join(ROLLUP_SUMS)
_MINE = "namespace = :namespace and provider = :provider"
_MY_CHARGES = """
    c.namespace = :namespace and c.provider = :provider
    and c.charge_period_start >= :since and c.charge_period_start < :until
"""
_IN_TOUCHED = "c.charge_period_start >= t.starts_at and c.charge_period_start < t.ends_at"

LOCK_PROVIDER = "select believed_at from provider where namespace = :namespace and name = :provider for update"

KNOWN_PIECES = f"""
    select starts_at, ends_at, read_at, digest, charges from piece
    where {_MINE} and starts_at < :end and ends_at > :start order by starts_at
"""

PREPARE = """
    create temporary table touched (
        starts_at timestamptz, ends_at timestamptz, fresh boolean, restated boolean
    ) on commit drop
"""

NAME_PIECES = "insert into touched values (:starts_at, :ends_at, :fresh, :restated)"

NOTHING_FRESH = "update touched set fresh = false"

# One statement: a statement each would be as many round trips.
MAKE_STAGE = """
do $$ begin
    create temporary table staged (charge_period_start timestamptz, row_id uuid) on commit drop;
    create temporary table incoming (like charge) on commit drop;
    create temporary table missing (charge_period_start timestamptz, row_id uuid, have int, want int) on commit drop;
    create temporary table added (like charge) on commit drop;
    create temporary table gone (like charge) on commit drop;
    create temporary table summed (like daily_cost) on commit drop;
    alter table summed drop column namespace, drop column provider, drop column day, drop column line,
        add column starts_at timestamptz;
end $$
"""

STAGED_COLUMNS = ("charge_period_start", "row_id")

STAGE_INCOMING = "insert into staged select charge_period_start, row_id from incoming"

COUNT_STAGED = """
    do $$ begin
        create temporary table wanted on commit drop as
            select charge_period_start, row_id, count(*)::int as copies from staged group by 1, 2;
        analyze wanted;
    end $$
"""

# Rows that say exactly the same are told apart by `copy`, counted from 0 without gaps: having the last copy
# means having them all.
FIND_MISSING = f"""
    insert into missing
    select w.charge_period_start, w.row_id, (
            select count(*) from charge c
            where {_MY_CHARGES} and c.charge_period_start = w.charge_period_start and c.row_id = w.row_id
        ), w.copies
    from wanted w where not exists (
        select from charge c where {_MY_CHARGES} and c.charge_period_start = w.charge_period_start
        and c.row_id = w.row_id and c.copy = w.copies - 1
    )
"""

COUNT_MISSING = "select count(*) as rows, coalesce(bool_and(have = 0 and want = 1), true) as are_single from missing"

# All in one value: a row for each takes the client longer than finding them takes the server.
MISSING_IDS = "select string_agg(uuid_send(row_id), '') from missing"

FIND_GONE = f"""
    insert into gone ({_COLUMNS})
    select {", ".join("c." + name for name in CHARGE_COLUMNS)} from charge c
    join touched t on not t.fresh and {_IN_TOUCHED}
    where {_MY_CHARGES} and not exists (
        select from wanted w where w.charge_period_start = c.charge_period_start
        and w.row_id = c.row_id and w.copies > c.copy
    )
"""

FIND_ADDED = f"""
    insert into added ({_COLUMNS})
    select {", ".join("nth.copy" if name == "copy" else "i." + name for name in CHARGE_COLUMNS)}
    from (select distinct on (charge_period_start, row_id) * from incoming) i
    join missing m using (charge_period_start, row_id)
    cross join lateral generate_series(m.have, m.want - 1) as nth(copy)
"""

# Where none of them came twice, what was sent is what is added, and need not be written once more.
ADD_INCOMING = "do $$ begin drop table added; alter table incoming rename to added; end $$"

_TO_HISTORY = f"""
    insert into charge_history ({_COLUMNS}, believed_to)
    select {_COLUMNS}, cast(:believed as timestamptz) from gone
"""

_TAKE_OUT = f"""
    delete from charge c using gone g where {_MY_CHARGES}
    and c.charge_period_start = g.charge_period_start and c.row_id = g.row_id and c.copy = g.copy
"""

_BRING_IN = f"insert into charge ({_COLUMNS}) select {_COLUMNS} from added"

# Without knowing how few they are, the database would read whole months to find them.
_COUNT_CHANGES = "analyze gone (charge_period_start, row_id)"

EXCHANGE = (_COUNT_CHANGES, _TO_HISTORY, _TAKE_OUT, _BRING_IN)

# For windows whose sums were too many to be held while their rows came in.
SUM_FRESH = f"""
    insert into summed ({", ".join(SUMMED_COLUMNS)})
    select t.starts_at, {_GROUPS}, {", ".join(f"coalesce(sum(c.{name}), 0)" for name in ROLLUP_SUMS)},
        count(*), count(*) filter (where c.billed_cost is null)
    from charge c join touched t on t.fresh and {_IN_TOUCHED}
    where {_MY_CHARGES} and c.believed_from = :believed
    group by t.starts_at, {_GROUPS}
"""

_DELTA_COLUMNS = ", ".join(("charge_period_start", *ROLLUP_DIMENSIONS, *ROLLUP_SUMS))
_COUNTED = (*ROLLUP_SUMS, "charges", "unpriced")

_ADD_SUMS = f"""
    insert into daily_cost as held (namespace, provider, day, line, {_GROUPS}, {_SUMS}, charges, unpriced)
    select cast(:namespace as text), cast(:provider as text), day,
        sha256(convert_to(jsonb_build_array({_GROUPS})::text, 'UTF8')), {_GROUPS}, {_SUMS}, charges, unpriced
    from sums
    on conflict (namespace, provider, day, line) do update set
        {", ".join(f"{name} = held.{name} + excluded.{name}" for name in _COUNTED)}
"""

MERGE_ROLLUP = f"""
    with delta as (
        select 1 as sign, {_DELTA_COLUMNS} from added
        union all
        select -1, {_DELTA_COLUMNS} from gone
    ), counted as (
        select charge_period_start as starts_at, {_GROUPS},
            {", ".join(f"sign * {name} as {name}" for name in ROLLUP_SUMS)},
            sign as charges, case when billed_cost is null then sign else 0 end as unpriced
        from delta
        union all
        select starts_at, {_GROUPS}, {_SUMS}, charges, unpriced from summed
    ), sums as (
        select (starts_at at time zone 'UTC')::date as day, {_GROUPS},
            {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in _COUNTED)}
        from counted group by 1, {_GROUPS}
    )
    {_ADD_SUMS}
"""

DROP_EMPTY_ROLLUP = f"""
    delete from daily_cost
    where {_MINE} and day >= (cast(:start as timestamptz) at time zone 'UTC')::date
        and day <= (cast(:end as timestamptz) at time zone 'UTC')::date and charges = 0
"""

# A line of the bill is known by its period and dimensions; names and figures are what it says. The hash lives no
# longer than the statement, so the server's own one for rows will do.
_LINE = f"hash_record_extended(row(charge_period_start, charge_period_end, {', '.join(DIMENSIONS)}), 0)"

_NUMBERED = f"""
    select charge_period_start, line, billing_currency, coalesce(billed_cost, 0) as billed_cost,
        row_number() over (partition by line order by row_id, copy) as nth
    from (select *, {_LINE} as line from %s) lines
"""

_TELL = """
    insert into restatement (
        namespace, provider, run_id, window_start, window_end, at, billing_currency, restated,
        rows_inserted, rows_changed, rows_removed, amount_inserted, amount_changed, amount_removed, net, largest_day
    )
    select cast(:namespace as text), cast(:provider as text), cast(:run_id as bigint),
        cast(:start as timestamptz), cast(:end as timestamptz), cast(:believed as timestamptz)"""

# A line that went out and came in again is a changed one; pairing them by their rank keeps repeated lines apart.
REPORT = f"""
    with new_rows as ({_NUMBERED % "added"}), old_rows as ({_NUMBERED % "gone"}),
    paired as (
        select charge_period_start, billing_currency, new_rows.billed_cost as new, old_rows.billed_cost as old,
            1 as charges
        from new_rows full join old_rows using (charge_period_start, line, billing_currency, nth)
        union all
        select starts_at, billing_currency, sum(billed_cost), null, sum(charges) from summed
        group by starts_at, billing_currency
    ), day as (
        select (array_agg(net order by abs(net) desc))[1] as largest, billing_currency, restated from (
            select c.billing_currency, t.restated, coalesce(sum(new), 0) - coalesce(sum(old), 0) as net
            from paired c join touched t on {_IN_TOUCHED}
            group by c.billing_currency, t.restated, (c.charge_period_start at time zone 'UTC')::date
        ) days group by 2, 3
    )
    {_TELL}, c.billing_currency, t.restated,
        coalesce(sum(charges) filter (where old is null), 0),
        coalesce(sum(charges) filter (where old is not null and new is not null), 0),
        coalesce(sum(charges) filter (where new is null), 0),
        coalesce(sum(new) filter (where old is null), 0),
        coalesce(sum(new - old) filter (where old is not null and new is not null), 0),
        coalesce(sum(old) filter (where new is null), 0),
        coalesce(sum(new), 0) - coalesce(sum(old), 0),
        (select largest from day d where d.billing_currency = c.billing_currency and d.restated = t.restated)
    from paired c join touched t on {_IN_TOUCHED}
    group by c.billing_currency, t.restated
    returning rows_inserted, rows_changed, rows_removed
"""

_TYPES = {"starts_at": "timestamptz", "charges": "bigint", "unpriced": "bigint"} | dict.fromkeys(ROLLUP_SUMS, "numeric")

# All that there is to add up where nothing has to be compared: no temporary table, and a plan that can be kept.
ADD_FRESH = f"""
    with summed as (
        select * from json_to_recordset(cast(:summed as json)) as line (
            {", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in SUMMED_COLUMNS)}, restated boolean
        )
    ), sums as (
        select (starts_at at time zone 'UTC')::date as day, {_GROUPS},
            {", ".join(f"sum({name})::{_TYPES[name]} as {name}" for name in _COUNTED)}
        from summed group by 1, {_GROUPS}
    ), added as ({_ADD_SUMS})
    {_TELL}, billing_currency, restated, sum(charges)::bigint, 0, 0, sum(amount), 0, 0, sum(amount),
        (array_agg(amount order by abs(amount) desc))[1]
    from (
        select billing_currency, restated, sum(charges) as charges, sum(billed_cost) as amount from summed
        group by billing_currency, restated, (starts_at at time zone 'UTC')::date
    ) days group by billing_currency, restated
    returning rows_inserted
"""

NOTE_PIECE = """
    insert into piece (namespace, provider, starts_at, ends_at, read_at, digest, charges)
    values (:namespace, :provider, :starts_at, :ends_at, :read_at, :digest, :charges)
    on conflict (namespace, provider, starts_at) do update set
        ends_at = excluded.ends_at, read_at = excluded.read_at, digest = excluded.digest, charges = excluded.charges
"""

FORGET_PIECE = f"delete from piece where {_MINE} and starts_at = :starts_at"

# The digest of a part is not known, so it is one that no rows have; the next reading compares row by row.
KEEP_PART = """
    insert into piece (namespace, provider, starts_at, ends_at, read_at, digest, charges)
    select cast(:namespace as text), cast(:provider as text), cast(:starts_at as timestamptz),
        cast(:ends_at as timestamptz), cast(:read_at as timestamptz), '\\x'::bytea, count(*)
    from charge where namespace = :namespace and provider = :provider
        and charge_period_start >= :starts_at and charge_period_start < :ends_at
    on conflict (namespace, provider, starts_at) do update set
        ends_at = excluded.ends_at, read_at = excluded.read_at, digest = excluded.digest, charges = excluded.charges
"""

ALL_PIECES = f"select starts_at, ends_at, read_at from piece where {_MINE}"

REMEMBER = """
    insert into connector_memory (namespace, provider, key, value)
    values (:namespace, :provider, :name, cast(:value as jsonb))
    on conflict (namespace, provider, key) do update set value = excluded.value
"""

FORGET = f"delete from connector_memory where {_MINE} and key = :name"

# What changed is marked for the alerts that look at it; the mark goes when they were judged.
NOTE_PROGRESS = """
    with noted as (
        update provider set complete_through = :complete_through, believed_at = coalesce(:believed, believed_at)
        where namespace = :namespace and name = :provider
    ), marked as (
        insert into evaluation_due as held (namespace, kind, name, since)
        select namespace, 'Provider', name, now() from provider
        where namespace = :namespace and name = :provider and (
            cast(:believed as timestamptz) is not null
            or complete_through is distinct from cast(:complete_through as date)
        )
        on conflict (namespace, kind, name) do update set since = least(held.since, excluded.since)
    )
    update sync_run set windows_done = windows_done + 1, rows_read = rows_read + :read,
        rows_inserted = rows_inserted + :inserted, rows_changed = rows_changed + :changed,
        rows_removed = rows_removed + :removed
    where namespace = :namespace and id = :run_id
"""
