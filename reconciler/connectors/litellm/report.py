"""What LiteLLM answers to /user/daily/activity, and the pages of a day put together.

A page holds so many rows of the proxy's database, added up in several breakdowns of the same spend; one key's calls of
one model may stand on several pages. Facts: the proxy's source in litellm 1.109.1,
proxy/management_endpoints/common_daily_activity.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import Field

from ledger.money import EXACT, ZERO
from reconciler.connectors.reading import Answer, Number

LEFT_OVER = "unknown-model"
"""LiteLLM's own word for calls whose model it does not know."""


class Metrics(Answer):
    """Counters of one bucket. Amounts are dollars; prompt tokens include those read from and written to caches.

    `flat_cost` is reserved throughput that is paid whatever is used, and stands outside `spend`.
    """

    spend: Number
    flat_cost: Number = ZERO
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    api_requests: int = 0
    successful_requests: int = 0

    def plus(self, other: Metrics, sign: int = 1) -> Metrics:
        """Both together, exactly; with a sign of -1, this one without the other."""
        mine, others = self.model_dump(), other.model_dump()
        return Metrics(**{name: EXACT.add(mine[name], EXACT.multiply(others[name], sign)) for name in mine})


class KeyMetadata(Answer):
    """What the proxy knows of a key. A key that is gone may have lost all of it."""

    key_alias: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    user_email: str | None = None


class KeyBucket(Answer):
    """What one key did of something."""

    metrics: Metrics
    metadata: KeyMetadata = Field(default_factory=KeyMetadata)


class ModelBucket(Answer):
    """What was done with one model. Reserved throughput is in `metrics` and in no key's."""

    metrics: Metrics
    api_key_breakdown: dict[str, KeyBucket] = Field(default_factory=dict)


class ProviderBucket(Answer):
    """What one model vendor did; `subscription_covered` in the metadata says that a subscription pays for it."""

    metadata: dict[str, Any] = Field(default_factory=dict)
    api_key_breakdown: dict[str, Any] = Field(default_factory=dict)


class Breakdown(Answer):
    """The same spend by several things."""

    models: dict[str, ModelBucket]
    providers: dict[str, ProviderBucket] = Field(default_factory=dict)


class Day(Answer):
    """What a page tells of a UTC day."""

    date: date
    metrics: Metrics
    breakdown: Breakdown


class PageMetadata(Answer):
    """Where a page stands. Its totals are those of the page."""

    page: int
    total_pages: int
    has_more: bool


class Page(Answer):
    """An answer of /user/daily/activity."""

    results: list[Day]
    metadata: PageMetadata


NOTHING = Metrics(spend=ZERO)


@dataclass(slots=True)
class Use:
    """What one key did with one model in a day; `key` is None where the proxy does not say whose it was."""

    model: str
    key: str | None
    owner: KeyMetadata
    metrics: Metrics


@dataclass(slots=True)
class Whole:
    """All pages of a day put together."""

    uses: dict[tuple[str, str | None], Use] = field(default_factory=dict)
    reserved: dict[str, Metrics] = field(default_factory=dict)
    """What was paid for reserved throughput, by model."""
    keys_by_provider: dict[str, set[str]] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    """Providers whose calls a subscription pays for."""

    def provider(self, use: Use) -> str | None:
        """Who served it: the only provider of the key, or the one that the model's name begins with."""
        mine = [provider for provider, keys in self.keys_by_provider.items() if use.key in keys]
        named = use.model.partition("/")[0]
        return mine[0] if len(mine) == 1 else next((provider for provider in mine if provider == named), None)


def whole(days: Iterable[Day]) -> Whole:
    """The pages of one day as one."""
    told = Whole()
    for day in days:
        models = day.breakdown.models
        for model, bucket in models.items():
            _add_model(told, model, bucket)
        if day.metrics.api_requests != sum(bucket.metrics.api_requests for bucket in models.values()):
            _add(told, LEFT_OVER, None, KeyBucket(metrics=_left(day)))
        _add_providers(told, day.breakdown.providers)
    return told


def _left(day: Day) -> Metrics:
    """What the day did beyond what is told of its models."""
    left = day.metrics
    for bucket in day.breakdown.models.values():
        left = left.plus(bucket.metrics, -1)
    return left


def _add_model(told: Whole, model: str, bucket: ModelBucket) -> None:
    if bucket.metrics.flat_cost:
        told.reserved[model] = told.reserved.get(model, NOTHING).plus(bucket.metrics)
    for key, part in bucket.api_key_breakdown.items():
        _add(told, model, key, part)
    if not bucket.api_key_breakdown and bucket.metrics.api_requests:
        _add(told, model, None, KeyBucket(metrics=bucket.metrics))


def _add(told: Whole, model: str, key: str | None, part: KeyBucket) -> None:
    use = told.uses.get((model, key))
    if use is None:
        told.uses[model, key] = Use(model, key, part.metadata, part.metrics)
    else:
        use.metrics = use.metrics.plus(part.metrics)


def _add_providers(told: Whole, providers: Mapping[str, ProviderBucket]) -> None:
    for provider, bucket in providers.items():
        told.keys_by_provider.setdefault(provider, set()).update(bucket.api_key_breakdown)
        if bucket.metadata.get("subscription_covered"):
            told.covered.add(provider)
