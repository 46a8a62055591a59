"""Neon's metrics as charges, by the formulas of neon.com/docs/introduction/usage-calculations.

A month is 744 hours whatever the calendar says, and a GB has 10**9 bytes. Two things are free up to an allowance:
branches, of which each project has some in every timeframe, and public egress, of which the organisation has some in a
month: the first that is used is free, and what one timeframe has beyond is charged to its projects by their shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from ledger.charge import Charge
from ledger.money import amount
from reconciler.connectors.allowance import beyond
from reconciler.connectors.neon.report import History, Project, Timeframe
from reconciler.connectors.pricing import Tariff

PROVIDER: Final = "Neon"
HOURS: Final = 744
"""Hours of every month that Neon bills."""
EGRESS: Final = "public_network_transfer_bytes"
BRANCHES: Final = "extra_branches_month"
COMPUTE: Final = "compute_unit_seconds"
GIGA: Final = -9

SKUS: Final[Mapping[str, tuple[str, str, int]]] = {
    COMPUTE: ("compute", "CU-Seconds", 0),
    "root_branch_bytes_month": ("root_storage", "GB-Hours", GIGA),
    "child_branch_bytes_month": ("child_storage", "GB-Hours", GIGA),
    "instant_restore_bytes_month": ("instant_restore", "GB-Hours", GIGA),
    "snapshot_storage_bytes_month": ("snapshot_storage", "GB-Hours", GIGA),
    EGRESS: ("public_egress", "GB", GIGA),
    "private_network_transfer_bytes": ("private_egress", "GB", GIGA),
    BRANCHES: ("extra_branch", "Branches-Hours", 0),
}
"""Every metric that is billed: its SKU, the unit it is told in, and the power of ten that its value is of that unit."""
RATES: Final = {"launch": "launch", "scale": "scale", "business": "scale", "agent": "scale", "enterprise": "scale"}
"""Whose rate a plan's compute has, by the beginning of the plan's name; other plans have none that is known."""
INCLUDED: Final = {"launch": 10, "scale": 25}
"""Branches of a project that a rate's plans include, the root branch among them."""


@dataclass(frozen=True)
class Used:
    """How much of a metric a project used in a timeframe, in the metric's own unit."""

    project: str
    plan: str | None
    frame: Timeframe
    metric: str
    value: Decimal

    @property
    def rate(self) -> str | None:
        plan = (self.plan or "").lower()
        return next((rate for name, rate in RATES.items() if plan.startswith(name)), None)

    @property
    def sku(self) -> str:
        name = SKUS[self.metric][0] if self.metric in SKUS else self.metric
        return f"{self.rate or self.plan or 'unknown'}/{name}" if self.metric == COMPUTE else name


@dataclass(frozen=True)
class Books:
    """What it takes to price a month: prices, allowances, and the projects by their ids."""

    tariff: Tariff
    organisation: str
    egress: Decimal
    """Bytes of public egress that are free in a month."""
    branches: int | None = None
    """Branches of a project that are included; None for as many as the plan has."""
    projects: Mapping[str, Project] | None = None

    def priced(self, used: Sequence[Used]) -> Iterator[Charge]:
        """The charges of one month's usage."""
        egress = [(each.frame.timeframe_start, Fraction(each.value)) for each in used if each.metric == EGRESS]
        charged = iter(beyond(egress, Fraction(self.egress)))
        for each in used:
            billed = next(charged) / 10**9 if each.metric == EGRESS else self._billed(each)
            yield self.tariff.priced(self._charge(each), billed, hours_per_month=HOURS)

    def _billed(self, used: Used) -> Fraction | None:
        """What is charged for in place of what was used; None for all of it."""
        if used.metric != BRANCHES:
            return None
        included = self.branches or INCLUDED[used.rate or "scale"]
        return max(Fraction(0), Fraction(used.value) - (included - 1) * used.frame.hours)

    def _charge(self, used: Used) -> Charge:
        known = (self.projects or {}).get(used.project)
        sku, unit, power = SKUS.get(used.metric, (used.metric, None, 0))
        return Charge(
            charge_period_start=used.frame.timeframe_start,
            charge_period_end=used.frame.timeframe_end,
            billing_currency=self.tariff.currency,
            billed_cost=None,
            x_origin="estimate",
            service_name=PROVIDER,
            service_provider_name=PROVIDER,
            service_category="Databases",
            charge_frequency="Usage-Based",
            charge_description=sku.replace("_", " "),
            billing_account_id=self.organisation,
            sub_account_id=used.project,
            sub_account_name=known.name if known and known.name else used.project,
            region_id=known.region_id if known else None,
            sku_id=used.sku,
            consumed_quantity=amount(used.value.scaleb(power)) if unit else used.value,
            consumed_unit=unit,
            extra={"x_plan": used.plan} if used.plan else None,
        )


def listed(history: History) -> Iterator[Used]:
    """Every figure of a page that is not nothing."""
    for project in history.projects:
        for period in project.periods:
            for frame in period.consumption:
                for metric in frame.metrics:
                    if metric.value:
                        yield Used(project.project_id, period.period_plan, frame, metric.metric_name, metric.value)
