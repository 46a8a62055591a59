"""The GraphQL schema. `python -m api.schema` prints it."""

from __future__ import annotations

import sys
from functools import cache

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.graphql.alert_changes import (
    AcknowledgeResult,
    EndSilenceResult,
    RetryResult,
    SilenceResult,
    TestChannelResult,
    UnacknowledgeResult,
    acknowledge_alert,
    end_silence,
    retry_notification,
    silence,
    test_channel,
    unacknowledge_alert,
)
from api.graphql.alert_history import AlertTurn, alert_history
from api.graphql.alerts import Alert, alerts
from api.graphql.budgets import Budget, budget, budgets
from api.graphql.channels import Channel, channels
from api.graphql.charges import Charge, charges
from api.graphql.connectors import Connector, connectors
from api.graphql.costs import CostReport, costs
from api.graphql.entries import (
    AddCostResult,
    CostEntry,
    DeleteCostResult,
    EditCostResult,
    add_cost,
    cost_entries,
    delete_cost,
    edit_cost,
)
from api.graphql.limits import Limits
from api.graphql.models import ModelReport, models
from api.graphql.mutations import CancelSyncResult, SyncProviderResult, cancel_sync, sync_provider
from api.graphql.notifications import Notification, notification, notifications
from api.graphql.paging import Connection
from api.graphql.providers import Provider, provider, providers
from api.graphql.restatements import Restatement, restatements
from api.graphql.runs import SyncRun, sync_runs
from api.graphql.scalars import SCALARS
from api.graphql.silences import Silence, silences
from api.graphql.viewer import Viewer, viewer


@strawberry.type
class Query:
    viewer: Viewer = strawberry.field(resolver=viewer, description="Who asks, and which namespaces they may read.")
    connectors: list[Connector] = strawberry.field(resolver=connectors, description="What can be synced.")
    provider: Provider | None = strawberry.field(resolver=provider)
    providers: Connection[Provider] = strawberry.field(
        resolver=providers, description="Vendor accounts and manual costs, by namespace and name."
    )
    costs: CostReport = strawberry.field(
        resolver=costs,
        description="Sums over a period, as columns. Of each currency, the `top` largest series are shown one by one. "
        "`asOf` asks what was believed at that moment.",
    )
    models: ModelReport = strawberry.field(
        resolver=models,
        description="Tokens, cost per 1,000 tokens, cache hits and cost by model across vendors, and with `whatIf` the "
        "same usage at other prices. Charges without a model are left out.",
    )
    charges: Connection[Charge] = strawberry.field(resolver=charges, description="Single charges.")
    cost_entries: Connection[CostEntry] = strawberry.field(
        resolver=cost_entries, description="Figures that people entered for vendors without an API, newest month first."
    )
    restatements: Connection[Restatement] = strawberry.field(
        resolver=restatements,
        description="What vendors changed after the fact, latest first, in windows that touch the period. With "
        "`arriving` also figures of days that were not whole yet. Filter by namespaces, providers, labels and "
        "currencies.",
    )
    sync_runs: Connection[SyncRun] = strawberry.field(resolver=sync_runs, description="Syncs, newest first.")
    budget: Budget | None = strawberry.field(resolver=budget)
    budgets: Connection[Budget] = strawberry.field(
        resolver=budgets, description="Budgets, by namespace and name, as they stand now."
    )
    alerts: Connection[Alert] = strawberry.field(
        resolver=alerts, description="Alerts, by namespace and name, and how their levels stand."
    )
    alert_history: Connection[AlertTurn] = strawberry.field(
        resolver=alert_history, description="Every turn of every level of alerts, newest first."
    )
    notification: Notification | None = strawberry.field(resolver=notification)
    notifications: Connection[Notification] = strawberry.field(
        resolver=notifications,
        description="What channels were told, are to be told and could not be told, newest first.",
    )
    channels: Connection[Channel] = strawberry.field(
        resolver=channels, description="Where alerts are told, by namespace and name."
    )
    silences: Connection[Silence] = strawberry.field(
        resolver=silences,
        description="Silences that hold now, newest first; those that do not with `active: false`, all with null.",
    )


@strawberry.type
class Mutation:
    sync_provider: SyncProviderResult = strawberry.field(
        resolver=sync_provider, description="Ask for a sync now: as usual, or of the days of a period again."
    )
    add_cost: AddCostResult = strawberry.field(
        resolver=add_cost, description="Enter what a month cost at a vendor without an API; below 0 for a credit."
    )
    edit_cost: EditCostResult = strawberry.field(
        resolver=edit_cost,
        description="Change a figure that was entered. What is absent stays; a note of null goes away.",
    )
    delete_cost: DeleteCostResult = strawberry.field(resolver=delete_cost, description="Take a figure back.")
    cancel_sync: CancelSyncResult = strawberry.field(resolver=cancel_sync, description="Ask a running sync to stop.")
    acknowledge_alert: AcknowledgeResult = strawberry.field(
        resolver=acknowledge_alert,
        description="Take on what fires of an alert: all levels, one, or those of one provider. Nobody is told of it "
        "again until then, or until it ends.",
    )
    unacknowledge_alert: UnacknowledgeResult = strawberry.field(
        resolver=unacknowledge_alert, description="Let go of it again."
    )
    silence: SilenceResult = strawberry.field(
        resolver=silence, description="Have nobody told of what matches the scope, from now until then."
    )
    end_silence: EndSilenceResult = strawberry.field(resolver=end_silence, description="End a silence now.")
    test_channel: TestChannelResult = strawberry.field(
        resolver=test_channel, description="Have a test message sent, whatever the channel's terms are."
    )
    retry_notification: RetryResult = strawberry.field(
        resolver=retry_notification,
        description="Try a message now that was given up; it is given up again if that fails.",
    )


class Schema(strawberry.Schema):
    """Leaves errors to api.graphql.errors: what is worth a log line is logged there, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


@cache
def make_schema() -> Schema:
    """The schema with its limits, which is made once."""
    config = StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True)
    return Schema(query=Query, mutation=Mutation, config=config, extensions=[Limits])


if __name__ == "__main__":
    sys.stdout.write(f"{make_schema().as_str()}\n")
