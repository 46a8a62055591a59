"""A day of LiteLLM's activity as charges: estimates by the proxy's own price map."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import ZERO
from ledger.window import DAY, midnight
from reconciler.connectors.litellm.report import KeyMetadata, Metrics, Use, Whole

HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
SHOWN: Final = 12
"""Characters of a key's hash that tell keys without an alias apart."""


def charges_of(day: date, told: Whole, teams: Mapping[str, str]) -> Iterator[Charge]:
    """A charge for each model and key of the day, and for each model's reserved throughput; `teams` are names by id."""
    for use in told.uses.values():
        yield _usage(_charge(day, use.model, use.owner, teams), use, told)
    for model, metrics in told.reserved.items():
        yield _charge(day, model, KeyMetadata(), teams)._replace(
            billed_cost=metrics.flat_cost,
            charge_category="Purchase",
            charge_frequency="Recurring",
            charge_description=f"{model}, reserved throughput",
        )


def _charge(day: date, model: str, owner: KeyMetadata, teams: Mapping[str, str]) -> Charge:
    start = midnight(day)
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency="USD",
        billed_cost=None,
        x_origin="estimate",
        service_name="LiteLLM",
        service_provider_name="LiteLLM",
        charge_frequency="Usage-Based",
        service_category="AI and Machine Learning",
        sub_account_id=owner.team_id or None,
        sub_account_name=teams.get(owner.team_id, owner.team_id) if owner.team_id else None,
        sku_id=model,
        x_model=model,
    )


def _usage(charge: Charge, use: Use, told: Whole) -> Charge:
    metrics, provider, key = use.metrics, told.provider(use), _key_name(use)
    covered = provider in told.covered
    return charge._replace(
        billed_cost=ZERO if covered else _cost(metrics),
        list_cost=metrics.spend if covered else None,
        charge_description=f"{use.model}, key {key}" if key else use.model,
        consumed_quantity=Decimal(metrics.prompt_tokens + metrics.completion_tokens),
        consumed_unit="Tokens",
        extra=_extra(use, provider, key, covered),
    )


def _cost(metrics: Metrics) -> Decimal | None:
    """The spend. Zero for calls that succeeded means that LiteLLM has no price for the model, not that it is free."""
    used = metrics.successful_requests or metrics.prompt_tokens or metrics.completion_tokens
    return None if not metrics.spend and used else metrics.spend


def _key_name(use: Use) -> str | None:
    """The key's alias, or the beginning of its hash. What may be a key itself is never shown."""
    if use.owner.key_alias:
        return use.owner.key_alias
    return use.key[:SHOWN] if use.key and HASH.match(use.key) else None


def _extra(use: Use, provider: str | None, key: str | None, covered: bool) -> dict[str, object]:
    metrics = use.metrics
    columns: dict[str, object] = {
        "x_host_provider": provider,
        "x_api_key_name": key,
        "x_user_id": use.owner.user_id,
        "x_user_email": use.owner.user_email,
        "x_requests": metrics.api_requests,
        "x_input_tokens": metrics.prompt_tokens,
        "x_cached_input_tokens": metrics.cache_read_input_tokens,
        "x_cache_write_tokens": metrics.cache_creation_input_tokens,
        "x_output_tokens": metrics.completion_tokens,
        "x_subscription_covered": covered or None,
    }
    return {name: value for name, value in columns.items() if value not in (None, "", 0)}
