"""The ledger's tables as SQLAlchemy sees them. Migrations make them; a test proves that both agree.

`namespace` is the tenant and leads every key, so that the schema can be spread over servers by tenant without
a rewrite. `charge` holds what is believed now; a row is never updated, only inserted, or moved to
`charge_history` with the time at which it stopped being believed. Both are partitioned by UTC month. `daily_cost` has
their sums by day, and `daily_service_cost` the sums of that, which triggers of the database keep (docs/adr/0013).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

DIMENSIONS = (
    *("billing_currency", "x_origin", "service_name", "service_provider_name", "charge_category", "charge_class"),
    *("charge_frequency", "charge_description", "service_category", "billing_account_id", "sub_account_id"),
    *("region_id", "resource_id", "sku_id", "x_model", "x_token_type", "consumed_unit", "pricing_unit"),
)
NAMES = ("sub_account_name", "resource_name")
COSTS = ("billed_cost", "effective_cost", "list_cost", "contracted_cost")
QUANTITIES = ("consumed_quantity", "pricing_quantity")
DOCUMENTS = ("tags", "extra")

CHARGE_VALUES = ("charge_period_end", *DIMENSIONS, *NAMES, *COSTS, *QUANTITIES, *DOCUMENTS)
CHARGE_COLUMNS = ("namespace", "provider", "believed_from", "charge_period_start", "row_id", "copy", *CHARGE_VALUES)
"""Every column of `charge`, in the order in which rows are written: the first three are a window's constants."""

ROLLUP_DIMENSIONS = (
    *("service_name", "service_category", "sub_account_id", "region_id", "x_model", "x_token_type"),
    *("charge_category", "x_origin", "billing_currency", "consumed_unit"),
)
ROLLUP_SUMS = (*COSTS, "consumed_quantity")
SERVICE_DIMENSIONS = ("service_name", "service_category", "charge_category", "x_origin", "billing_currency")

_NEEDED = {"billing_currency", "x_origin", "service_name", "service_provider_name", "charge_category"}
_MOMENT = DateTime(timezone=True)


def _key(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=True) for name in names]


def _charge_columns() -> list[Column[Any]]:
    columns: list[Column[Any]] = [
        *_key("namespace", "provider"),
        Column("charge_period_start", _MOMENT, primary_key=True),
        Column("row_id", Uuid, primary_key=True, doc="hash of all that the row says"),
        Column("copy", Integer, primary_key=True, doc="tells rows apart that say exactly the same, from 0"),
        Column("believed_from", _MOMENT, nullable=False),
        Column("charge_period_end", _MOMENT, nullable=False),
    ]
    columns += [Column(name, Text, nullable=name not in _NEEDED) for name in DIMENSIONS + NAMES]
    columns += [Column(name, Numeric) for name in COSTS + QUANTITIES]
    columns += [Column(name, JSONB) for name in DOCUMENTS]
    return columns


charge = Table("charge", metadata, *_charge_columns(), postgresql_partition_by="RANGE (charge_period_start)")

charge_history = Table(
    "charge_history",
    metadata,
    *_charge_columns(),
    Column("believed_to", _MOMENT, primary_key=True),
    postgresql_partition_by="RANGE (charge_period_start)",
)

daily_cost = Table(
    "daily_cost",
    metadata,
    *_key("namespace", "provider"),
    Column("day", Date, primary_key=True),
    Column("line", LargeBinary, primary_key=True, doc="hash of the dimensions, which may be null or long"),
    *(Column(name, Text, nullable=name not in _NEEDED) for name in ROLLUP_DIMENSIONS),
    *(Column(name, Numeric, nullable=False) for name in ROLLUP_SUMS),
    Column("charges", BigInteger, nullable=False, doc="rows of `charge` that are added up here"),
    Column("unpriced", BigInteger, nullable=False, doc="those of them that have no billed cost"),
)

daily_service_cost = Table(
    "daily_service_cost",
    metadata,
    *_key("namespace", "provider"),
    Column("day", Date, primary_key=True),
    Column("line", LargeBinary, primary_key=True, doc="hash of the dimensions, as in `daily_cost`"),
    *(Column(name, Text, nullable=name not in _NEEDED) for name in SERVICE_DIMENSIONS),
    *(Column(name, Numeric, nullable=False) for name in COSTS),
    *(Column(name, BigInteger, nullable=False) for name in ("charges", "unpriced")),
)

resource = Table(
    "resource",
    metadata,
    *_key("namespace", "kind", "name"),
    Column("uid", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("source", Text, nullable=False, doc="the folder or cluster it came from"),
    Column("place", Text, doc="file and line of its manifest"),
    Column("labels", JSONB, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("status", JSONB, nullable=False),
    Column("updated_at", _MOMENT, nullable=False),
    Column("deleted_at", _MOMENT),
)

provider = Table(
    "provider",
    metadata,
    *_key("namespace", "name"),
    Column("kind", Text, nullable=False, doc="the resource's kind: Provider or ManualCost"),
    Column("type", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column(
        "attribution_only",
        Boolean,
        nullable=False,
        server_default="false",
        doc="its charges are parts of what others bill; no total counts them",
    ),
    Column("created_at", _MOMENT, nullable=False),
    Column("deleted_at", _MOMENT),
    Column("complete_through", Date),
    Column("believed_at", _MOMENT, doc="when what is believed of it last changed"),
    Column("last_sync_at", _MOMENT, doc="end of the last sync that succeeded"),
    Column("next_sync_at", _MOMENT),
    Column("lag", Interval, doc="after the end of a day, how long until it should be whole here"),
    Column("accounts_at", _MOMENT, doc="the believed_at that billed_account tells of"),
)

piece = Table(
    "piece",
    metadata,
    *_key("namespace", "provider"),
    Column("starts_at", _MOMENT, primary_key=True),
    Column("ends_at", _MOMENT, nullable=False),
    Column("read_at", _MOMENT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("charges", BigInteger, nullable=False),
)

sync_run = Table(
    "sync_run",
    metadata,
    *_key("namespace"),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("error", Text, doc="redacted"),
    Column("started_at", _MOMENT, nullable=False),
    Column("finished_at", _MOMENT),
    *(Column(name, Integer, nullable=False) for name in ("windows_total", "windows_done")),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("rows_read", "rows_inserted", "rows_changed", "rows_removed", "calls", "bytes_read")
    ),
    Column("cancel_requested", Boolean, nullable=False),
)
Index("sync_run_provider", sync_run.c.namespace, sync_run.c.provider, sync_run.c.id.desc())

restatement = Table(
    "restatement",
    metadata,
    *_key("namespace", "provider"),
    Column("run_id", BigInteger, primary_key=True),
    Column("window_start", _MOMENT, primary_key=True),
    Column("billing_currency", Text, primary_key=True),
    Column("restated", Boolean, primary_key=True, doc="the days had been whole before; false: figures still arriving"),
    Column("window_end", _MOMENT, nullable=False),
    Column("at", _MOMENT, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("rows_inserted", "rows_changed", "rows_removed")),
    *(Column(name, Numeric, nullable=False) for name in ("amount_inserted", "amount_changed", "amount_removed", "net")),
    Column("largest_day", Numeric, doc="the net of the day that moved most"),
)

lease = Table(
    "lease",
    metadata,
    *_key("namespace", "provider"),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False, doc="grows with every new holder; fences writes of the old one"),
    Column("expires_at", _MOMENT, nullable=False),
)

vendor_call = Table(
    "vendor_call",
    metadata,
    *_key("namespace", "provider"),
    Column("day", Date, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("calls", "bytes_read")),
)

connector_memory = Table(
    "connector_memory",
    metadata,
    *_key("namespace", "provider", "key"),
    Column("value", JSONB, nullable=False),
)

sync_request = Table(
    "sync_request",
    metadata,
    *_key("namespace"),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("requested_at", _MOMENT, nullable=False),
    Column("requested_by", Text, nullable=False),
    *(Column(name, Date) for name in ("first_day", "after_last_day")),
    Column("run_id", BigInteger, doc="the run that answers it; null while it waits"),
)
Index(
    "sync_request_waiting",
    sync_request.c.namespace,
    sync_request.c.provider,
    postgresql_where=sync_request.c.run_id.is_(None),
)

Index("sync_run_started", sync_run.c.started_at)
Index("restatement_at", restatement.c.at)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Text, primary_key=True, doc="the part of the token that names it"),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, doc="SHA-256 of the secret part"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("namespaces", ARRAY(Text), doc="null: all"),
    Column("created_at", _MOMENT, nullable=False),
    *(Column(name, _MOMENT) for name in ("expires_at", "revoked_at", "last_used_at")),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", _MOMENT, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("actor", "actor_kind", "action")),
    *(Column(name, Text) for name in ("namespace", "subject")),
    Column("detail", JSONB, nullable=False),
    Column("request_id", Text, nullable=False),
)

alert_rule = Table(
    "alert_rule",
    metadata,
    *_key("namespace", "name"),
    Column("generation", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, doc="what it is on: Spend, Forecast, ..."),
    Column("budget", Text),
    *(Column(name, ARRAY(Text), doc="null: all") for name in ("providers", "services", "sub_accounts")),
    *(Column(name, JSONB, nullable=False) for name in ("labels", "tags")),
    Column("rule", JSONB, nullable=False, doc="all of it, as ledger.alerts.rule reads it"),
    Column("next_at", _MOMENT, doc="when time alone may change the answer"),
)
Index("alert_rule_next", alert_rule.c.next_at)
Index("alert_rule_budget", alert_rule.c.namespace, alert_rule.c.budget)

evaluation_due = Table(
    "evaluation_due",
    metadata,
    *_key("namespace", "kind", "name"),
    Column("since", _MOMENT, nullable=False),
)

alert_state = Table(
    "alert_state",
    metadata,
    *_key("namespace", "alert", "level", "subject"),
    Column("period_first", Date, primary_key=True, doc="the epoch where the alert has no period"),
    Column("period_after", Date),
    Column("budget", Text),
    *(Column(name, Text, nullable=False) for name in ("severity", "state")),
    Column("since", _MOMENT, nullable=False),
    Column("episode", BigInteger, nullable=False, doc="counts how often it began to fire"),
    Column("judged_at", _MOMENT, nullable=False),
    Column("figures", JSONB, nullable=False, doc="what it was judged on"),
    Column("notified_at", _MOMENT, doc="null: nobody was told of this episode"),
    Column("notices", Integer, nullable=False, doc="how often it was told in this episode"),
    Column("acknowledged_at", _MOMENT),
    Column("acknowledged_by", Text),
    Column("acknowledged_until", _MOMENT),
    Column("acknowledged_note", Text),
)

alert_transition = Table(
    "alert_transition",
    metadata,
    *_key("namespace"),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    *(Column(name, Text, nullable=False) for name in ("alert", "level", "subject")),
    Column("period_first", Date, nullable=False),
    Column("budget", Text),
    *(Column(name, Text, nullable=False) for name in ("severity", "from_state", "to_state", "reason")),
    Column("at", _MOMENT, nullable=False),
    Column("episode", BigInteger, nullable=False),
    Column("figures", JSONB, nullable=False),
)
Index("alert_transition_alert", alert_transition.c.namespace, alert_transition.c.alert, alert_transition.c.id.desc())

notification = Table(
    "notification",
    metadata,
    *_key("namespace"),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, doc="the same however often it is tried"),
    Column("channel", Text, nullable=False),
    Column("alert", Text, doc="null: a test message"),
    *(Column(name, Text, nullable=False) for name in ("what", "severity")),
    Column("message", JSONB),
    Column("state", Text, nullable=False, doc="Waiting, Delivered, Skipped or Dead"),
    Column("attempts", Integer, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("due_at", _MOMENT, nullable=False),
    Column("claimed_until", _MOMENT, doc="a process is about to deliver it"),
    Column("finished_at", _MOMENT),
    *(Column(name, Text) for name in ("receipt", "error")),
    UniqueConstraint("namespace", "channel", "key"),
)
Index("notification_waiting", notification.c.due_at, postgresql_where=notification.c.state == "Waiting")
Index("notification_channel", notification.c.namespace, notification.c.channel, notification.c.id.desc())

silence = Table(
    "silence",
    metadata,
    *_key("namespace"),
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    *(Column(name, Text, doc="null: any") for name in ("alert", "budget", "severity")),
    *(Column(name, _MOMENT, nullable=False) for name in ("starts_at", "ends_at")),
    *(Column(name, Text, nullable=False) for name in ("reason", "created_by")),
    Column("created_at", _MOMENT, nullable=False),
    Column("ended_by", Text),
)

manual_entry = Table(
    "manual_entry",
    metadata,
    *_key("namespace", "provider"),
    Column("month", Date, primary_key=True, doc="its first day"),
    Column("service", Text, primary_key=True, doc="empty: the vendor's only one"),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("note", Text),
    Column("entered_at", _MOMENT, nullable=False),
    Column("entered_by", Text, nullable=False),
    Column("changed_at", _MOMENT),
    Column("changed_by", Text),
)

billed_account = Table(
    "billed_account",
    metadata,
    *_key("namespace", "provider"),
    Column("month", Date, primary_key=True, doc="its first day"),
    *_key("vendor", "level", "account"),
    Column("alone", Boolean, nullable=False, doc="no charge names anything finer than this account"),
    Column(
        "days", Integer, nullable=False, doc="a bit for each day of the month that has charges; the lowest is its 1st"
    ),
)
Index("billed_account_same", billed_account.c.account, billed_account.c.month)

TENANT_TABLES = tuple(sorted(name for name, table in metadata.tables.items() if "namespace" in table.primary_key.c))
"""Tables that hold tenants' data: every one has row-level security by namespace."""
