"""What there is at Render, as things that cost by the time for which they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from reconciler.connectors.inventory import Standing, bare
from reconciler.connectors.render.report import Details, KeyValue, Owner, Postgres, Project, Service, Store

PROVIDER: Final = "Render"
FREE: Final = "free"
CRON: Final = "cron_job"
SUSPENDED: Final = "suspended"


@dataclass(frozen=True)
class Names:
    """Workspaces by their ids, and projects by the ids of their environments."""

    owners: Mapping[str, Owner]
    projects: Mapping[str, Project]

    def charge(self, thing: Service | Store, owner: str | None, region: str | None, words: str) -> Charge:
        """A charge that says whose and where `thing` is."""
        project = self.projects.get(thing.environment_id or "")
        known = self.owners.get(owner or "")
        columns = {"BillingAccountName": known.name if known else None, "x_environment_id": thing.environment_id}
        return bare(PROVIDER)._replace(
            charge_description=words,
            service_category="Compute" if isinstance(thing, Service) else "Databases",
            billing_account_id=owner,
            sub_account_id=project.id if project else None,
            sub_account_name=project.name if project else None,
            region_id=region,
            resource_id=thing.id,
            resource_name=thing.name,
            extra={name: value for name, value in columns.items() if value} or None,
        )


def of_service(service: Service, names: Names) -> Iterator[Standing]:
    """A service's instances, and its disk. Static sites and free instances cost nothing, suspended ones have none.

    How many instances autoscaling makes is not told: `numInstances` is what it was set to.
    """
    details = service.details
    charge = names.charge(service, service.owner_id, details.region, service.type.replace("_", " "))
    plan = details.plan
    if plan and plan != FREE and service.suspended != SUSPENDED:
        sku = f"cron/{plan}" if service.type == CRON else plan
        scales = details.autoscaling is not None and details.autoscaling.enabled
        said = charge._replace(extra={**(charge.extra or {}), "x_autoscaling": True}) if scales else charge
        yield Standing(sku, said, _instances(details), since=service.created_at)
    if details.disk and details.disk.size_gb:
        words = f"disk {details.disk.name or ''}".strip()
        yield Standing(
            "disk", charge._replace(charge_description=words), details.disk.size_gb, "GB", service.created_at
        )


def _instances(details: Details) -> Decimal:
    return Decimal(1) if details.num_instances is None else details.num_instances


def of_postgres(database: Postgres, names: Names) -> Iterator[Standing]:
    """A database's instance, unless it is free or suspended, and its storage."""
    charge = names.charge(database, _owner(database), database.region, "postgres")
    if database.plan == FREE:
        return
    if not database.rests:
        sku = f"postgres/{database.plan}{'/ha' if database.highly_available else ''}"
        yield Standing(sku, charge, since=database.created_at)
    if database.disk_gb:
        said = charge._replace(charge_description="postgres storage")
        yield Standing("postgres_storage", said, database.disk_gb, "GB", database.created_at)


def of_key_value(store: KeyValue, names: Names) -> Iterator[Standing]:
    if store.plan != FREE and not store.rests:
        charge = names.charge(store, _owner(store), store.region, "key value")
        yield Standing(f"keyvalue/{store.plan}", charge, since=store.created_at)


def _owner(store: Store) -> str | None:
    return store.owner.id if store.owner else None
