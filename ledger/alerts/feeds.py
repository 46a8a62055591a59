"""What is known of how providers' syncs go, for the alerts that look at one provider each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.judging import Feed
from ledger.alerts.rule import Scope

LONGEST: Final = timedelta(days=31)
"""How long a restatement may count at most."""

_FEEDS: Final = text("""
    with asked as (
        select * from jsonb_to_recordset(cast(:asked as jsonb)) as a(
            id int, namespace text, providers text[], labels jsonb
        )
    )
    select a.id, p.name as provider, p.suspended, p.created_at, p.last_sync_at, p.complete_through, p.lag,
        failing.failures, failing.reason,
        (
            select coalesce(sum(d.unpriced), 0)::bigint from daily_service_cost d
            where d.namespace = p.namespace and d.provider = p.name
        ) as unpriced,
        (
            select coalesce(jsonb_agg(jsonb_build_array(t.at, t.billing_currency, t.largest_day::text)), '[]')
            from restatement t
            where t.namespace = p.namespace and t.provider = p.name and t.restated and t.largest_day is not null
                and t.at > cast(:now as timestamptz) - cast(:longest as interval)
        ) as restated
    from asked a join provider p on p.namespace = a.namespace and p.labels @> a.labels and p.deleted_at is null
        and (a.providers is null or p.name = any(a.providers))
    cross join lateral (
        select count(*) as failures, (array_agg(s.reason order by s.id desc))[1] as reason from sync_run s
        where s.namespace = p.namespace and s.provider = p.name and s.outcome = 'Failed' and s.id > coalesce((
            select max(w.id) from sync_run w
            where w.namespace = p.namespace and w.provider = p.name and w.outcome = 'Succeeded'
        ), 0)
    ) failing
    order by a.id, p.name
""")


async def feeds(
    connection: AsyncConnection, asks: Sequence[tuple[str, Scope]], now: datetime
) -> Sequence[Sequence[Feed]]:
    """The providers of each namespace and scope, by name, and what is known of them."""
    found: list[list[Feed]] = [[] for _ in asks]
    asked = json.dumps([_document(number, *ask) for number, ask in enumerate(asks)])
    rows = await connection.execute(_FEEDS, {"asked": asked, "now": now, "longest": LONGEST})
    for row in rows:
        found[row.id].append(_feed(row._mapping))  # noqa: SLF001  # SQLAlchemy's public name for it
    return found


def _document(number: int, namespace: str, scope: Scope) -> Mapping[str, Any]:
    held = scope.document()
    return {"id": number, "namespace": namespace, "providers": held["providers"], "labels": held["labels"]}


def _feed(row: Mapping[Any, Any]) -> Feed:
    restated = [(datetime.fromisoformat(at), currency, Decimal(net)) for at, currency, net in row["restated"]]
    return Feed(**{**{name: row[name] for name in row if name not in ("id", "restated")}, "restated": restated})
