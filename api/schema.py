"""The GraphQL schema. `python -m api.schema` prints it."""

from __future__ import annotations

import sys

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

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
from api.graphql.paging import Connection
from api.graphql.providers import Provider, provider, providers
from api.graphql.restatements import Restatement, restatements
from api.graphql.runs import SyncRun, sync_runs
from api.graphql.scalars import SCALARS
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


class Schema(strawberry.Schema):
    """Leaves errors to api.graphql.errors: what is worth a log line is logged there, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


def make_schema() -> Schema:
    """The schema with its limits."""
    config = StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True)
    return Schema(query=Query, mutation=Mutation, config=config, extensions=[Limits])


if __name__ == "__main__":
    sys.stdout.write(f"{make_schema().as_str()}\n")
