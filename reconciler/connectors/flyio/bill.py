"""Fly.io's machines and volumes as things that cost by the time for which they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from ledger.charge import Charge
from ledger.money import amount, plain
from reconciler.connectors.flyio.report import App, Guest, Machine, Volume
from reconciler.connectors.inventory import Standing, bare

PROVIDER: Final = "Fly.io"
HOURS: Final = 720
"""Hours of the month that prices are for: Fly.io speaks of 30 days."""
RUNNING: Final = frozenset({"started", "starting", "stopping", "restarting", "replacing"})
GONE: Final = frozenset({"destroyed", "destroying", "pending_destroy", "scheduling_destroy"})
INCLUDED_MB: Final[Mapping[str, int]] = {"shared": 256, "performance": 2048}
"""Memory that a preset has for each CPU; more is charged by the GB."""
UNKNOWN: Final = "unknown"


def of_machine(machine: Machine, app: App, organisation: str) -> Iterator[Standing]:
    """A machine that runs: its preset, and the memory beyond it. One whose size is not told has no price."""
    if machine.state not in RUNNING:
        return
    charge = _charge(machine, app, organisation)._replace(service_category="Compute")
    guest = machine.config.guest if machine.config else None
    if guest is None:
        yield Standing(
            UNKNOWN, charge._replace(charge_description="machine"), unit="Machines", since=machine.created_at
        )
        return
    preset = f"{guest.cpu_kind}-cpu-{plain(guest.cpus)}x"
    said = charge._replace(charge_description=f"machine {preset}, {plain(guest.memory_mb)} MB")
    yield Standing(preset, said, unit="Machines", since=machine.created_at)
    if (extra := _extra_gb(guest)) > 0:
        words = charge._replace(charge_description=f"memory beyond {preset}")
        yield Standing("extra_ram", words, extra, "GB", machine.created_at)
    if guest.gpu_kind:
        words = charge._replace(charge_description=f"GPU {guest.gpu_kind}")
        yield Standing(f"gpu/{guest.gpu_kind}", words, unit="Machines", since=machine.created_at)


def of_volume(volume: Volume, app: App, organisation: str) -> Iterator[Standing]:
    """A volume, which costs whether or not a machine uses it."""
    if volume.state not in GONE:
        charge = _charge(volume, app, organisation)._replace(charge_description="volume", service_category="Storage")
        yield Standing("volume", charge, volume.size_gb, "GB", volume.created_at)


def _extra_gb(guest: Guest) -> Decimal:
    """GB of memory beyond what the preset has; all of it for a kind of CPU that is not known."""
    return amount((guest.memory_mb - INCLUDED_MB.get(guest.cpu_kind, 0) * guest.cpus) / 1024)


def _charge(thing: Machine | Volume, app: App, organisation: str) -> Charge:
    return bare(PROVIDER)._replace(
        billing_account_id=organisation,
        sub_account_id=app.name,
        sub_account_name=app.name,
        region_id=thing.region,
        resource_id=thing.id,
        resource_name=thing.name,
    )
