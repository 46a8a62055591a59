"""What Supabase's projects have, as things that cost by the hour: compute, add-ons and disks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Final

from ledger.charge import Charge
from ledger.money import ZERO
from ledger.pricelist import Price, PriceList
from ledger.units import decimal
from ledger.window import DAY
from reconciler.connectors.inventory import Standing, bare, hours_of_month
from reconciler.connectors.supabase.report import Addons, Database, Project, Variant

PROVIDER: Final = "Supabase"
SOURCE: Final = "GET /v1/projects/{ref}/billing/addons"
CURRENCY: Final = "USD"
COMPUTE: Final = "compute_instance"
SIZE: Final = "ci_"
"""How ids of compute sizes begin."""
GONE: Final = frozenset({"INACTIVE", "REMOVED", "INIT_FAILED"})
"""States of projects that have nothing: Supabase leaves paused projects out of the bill."""
FREE_DISK: Final = Decimal(8)
"""GB of disk that every project includes."""
CREDIT: Final = "compute_credit"
GP3: Final = "gp3"
UNITS: Final = {"hourly": "Instances-Hours", "monthly": "Instances-Months"}


def price_list(variants: Sequence[Variant], today: date) -> PriceList:
    """What Supabase itself asks for add-ons today; of a variant that is told several times the last counts."""
    told = [(each.id, each.price) for each in variants if each.price is not None]
    prices = {sku: Price(sku, UNITS[price.interval], price.amount, CURRENCY) for sku, price in told}
    return PriceList(PROVIDER.lower(), today, tuple(prices.values()), SOURCE)


def standing(project: Project, addons: Addons, organisation: str) -> Iterator[Standing]:
    """Everything of the project that costs by the hour."""
    if project.status in GONE:
        return
    charge = _charge(project, organisation)
    for addon in addons.selected_addons:
        words = addon.variant.name or addon.variant.id
        yield Standing(addon.variant.id, charge._replace(charge_description=words), since=project.inserted_at)
    sized = any(addon.type == COMPUTE for addon in addons.selected_addons)
    for database in project.databases:
        yield from _compute(database, project, charge, sized)
        yield from _disk(database, project, charge)


def _compute(database: Database, project: Project, charge: Charge, sized: bool) -> Iterator[Standing]:
    """What add-ons do not tell: compute of read replicas, and of a primary database that has no size among them."""
    if database.infra_compute_size and (database.is_replica or not sized):
        words = "Read replica" if database.is_replica else "Compute"
        sku = f"{SIZE}{database.infra_compute_size}"
        yield Standing(sku, _of(database, charge, words), since=project.inserted_at)


def _disk(database: Database, project: Project, charge: Charge) -> Iterator[Standing]:
    if database.disk_volume_size_gb:
        kind = database.disk_type or GP3
        sku = "disk_size" if kind == GP3 else f"disk_size_{kind}"
        free = ZERO if database.is_replica else FREE_DISK
        of = _of(database, charge, f"Disk ({kind})")
        yield Standing(sku, of, database.disk_volume_size_gb, "GB", project.inserted_at, free)


def _of(database: Database, charge: Charge, words: str) -> Charge:
    identifier, region = database.identifier or charge.resource_id, database.region or charge.region_id
    return charge._replace(resource_id=identifier, region_id=region, charge_description=words)


def _charge(project: Project, organisation: str) -> Charge:
    return bare(PROVIDER)._replace(
        service_category="Databases",
        billing_account_id=organisation,
        sub_account_id=project.ref,
        sub_account_name=project.name or project.ref,
        resource_id=project.ref,
        resource_name=project.name,
        region_id=project.region,
        extra={"x_is_branch": True} if project.is_branch else None,
    )


def credited(charges: Sequence[Charge], monthly: Decimal, organisation: str) -> Iterator[Charge]:
    """The organisation's compute credit, day by day: its part of the month, and never more than the day's compute."""
    compute = [each for each in charges if (each.sku_id or "").startswith(SIZE) and each.billing_currency == CURRENCY]
    for start, group in groupby(sorted(compute, key=lambda each: each.charge_period_start), _start):
        cost = sum((Fraction(each.billed_cost or 0) for each in group), Fraction(0))
        credit = min(cost, Fraction(monthly) * 24 / hours_of_month(start))
        if credit > 0:
            yield bare(PROVIDER)._replace(
                charge_period_start=start,
                charge_period_end=start + DAY,
                billed_cost=-decimal(credit),
                service_category="Databases",
                charge_category="Credit",
                charge_description="Compute credits",
                billing_account_id=organisation,
                sku_id=CREDIT,
            )


def _start(charge: Charge) -> datetime:
    return charge.charge_period_start
