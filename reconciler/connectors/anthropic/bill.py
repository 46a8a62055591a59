"""A day of Anthropic's cost report as charges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ledger.charge import Charge, ChargeCategory
from reconciler.connectors.anthropic.report import CostRow, Day, UsageRow, consumed

DEFAULT_WORKSPACE: Final = "default"
"""Sub account id of what has no workspace id in the reports: that is how they show the default workspace."""
DEFAULT_WORKSPACE_NAME: Final = "Default Workspace"
"""What the documentation calls it; it cannot be renamed."""

TOKEN_TYPES: Final = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cached_input",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
}
"""The words that vendors' token types share in the ledger, so that models can be compared; see Charge."""


def charges_of(
    day: Day[CostRow], usages: Sequence[UsageRow], account: str, names: Mapping[str, str]
) -> Iterator[Charge]:
    """A charge for every cost row of the day, none dropped and none merged.

    `usages` are the same day's usage rows, `account` the organization's id, `names` the workspaces' by id.
    """
    for row, quantity in zip(day.results, consumed(day.results, usages), strict=True):
        workspace = row.workspace_id or DEFAULT_WORKSPACE
        name = names.get(workspace, workspace) if row.workspace_id else DEFAULT_WORKSPACE_NAME
        yield Charge(
            charge_period_start=day.starting_at,
            charge_period_end=day.ending_at,
            billing_currency=row.currency,
            billed_cost=row.cost,
            x_origin="api",
            service_name="Claude API",
            service_provider_name="Anthropic",
            charge_category=_category(row),
            charge_frequency="Usage-Based",
            charge_description=_description(row),
            service_category="AI and Machine Learning",
            billing_account_id=account,
            sub_account_id=workspace,
            sub_account_name=name,
            sku_id=row.description,
            x_model=row.model,
            x_token_type=TOKEN_TYPES.get(row.token_type or "", row.token_type),
            consumed_quantity=quantity,
            consumed_unit=None if quantity is None else row.unit,
            extra=_extra(row),
        )


def _category(row: CostRow) -> ChargeCategory:
    """Credit where the row is negative and calls itself one; a negative correction of usage stays usage."""
    text = f"{row.cost_type} {row.description}".lower()
    return "Credit" if row.cost < 0 and "credit" in text else "Usage"


def _description(row: CostRow) -> str | None:
    """The vendor's text and, in brackets, what else tells rows of the same text apart.

    The description is part of what makes a charge the same line from one sync to the next, the extra columns
    are not: without the brackets, standard and batch rows of one text would be taken for one another.
    """
    told = ", ".join(value for value in _variants(row).values() if value)
    text = row.description or row.cost_type
    return f"{text} ({told})" if text and told else text or told or None


def _extra(row: CostRow) -> Mapping[str, object] | None:
    columns = {"x_cost_type": row.cost_type, **_variants(row)}
    return {name: value for name, value in columns.items() if value is not None} or None


def _variants(row: CostRow) -> dict[str, str | None]:
    return {
        "x_service_tier": row.service_tier,
        "x_context_window": row.context_window,
        "x_inference_geo": row.inference_geo,
        "x_speed": row.speed,
    }
