"""A Provider's manifest run once, for `costhook try`: what it asks, what it is answered, and what comes out.

Nothing is stored, and no database is needed. Secrets come from the manifest's own file, or from files
`secrets/NAME/KEY` in its folder or one above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.charge import Charge, check, check_period
from ledger.window import Span, Window
from reconciler import objects
from reconciler.connectors.base import Connector, Context, Credentials
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient, Witness
from reconciler.connectors.registry import connector as connector_of
from reconciler.errors import NeedsPerson
from reconciler.kinds.catalogue import kinds
from reconciler.kinds.provider import ProviderSpec
from reconciler.kinds.reading import read, settings_of, spec_faults
from reconciler.objects import Contents, Manifest
from reconciler.sources import keyfiles
from reconciler.sources.base import SecretMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to try: the Provider `name` in `file`, or its only one; `period` is what is asked for."""

    file: Path
    name: str | None
    period: Span
    now: datetime
    egress: EgressPolicy


@dataclass(frozen=True, slots=True)
class Result:
    """What came out."""

    provider: str
    title: str
    windows: list[Window] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)


async def tried(wanted: Wanted, witness: Witness) -> Result:
    """Read the period once. Raises NeedsPerson where the manifest or its Secret is wrong, and as connectors do."""
    contents = objects.read(wanted.file, wanted.file.name, kinds())
    manifest = _chosen(contents, wanted)
    spec = _spec(contents, manifest)
    connector = connector_of(spec.type)
    settings = settings_of(spec, connector)
    credentials = _credentials(contents, wanted.file, spec, connector, settings)
    result = Result(manifest.key.name, connector.traits.title)
    client = VendorClient(
        base_url=getattr(settings, "base_url", None),
        policy=wanted.egress,
        meter=Meter(per_day=spec.call_budget.per_day if spec.call_budget else None, clock=lambda: wanted.now),
        redact=credentials.secrets(),
        clock=lambda: wanted.now,
        witness=witness,
    )
    async with client:
        key, folder = manifest.key, wanted.file.parent
        context = Context(client, credentials, wanted.now, {}, folder, name=key.name, namespace=key.namespace)
        await _read(connector(settings, context), wanted, result)
    return result


async def _read(connector: Connector[Any], wanted: Wanted, result: Result) -> None:
    for window in await connector.windows([wanted.period], wanted.period):
        result.windows.append(window)
        async for batch in connector.charges(window):
            for charge in batch:
                check(charge)
                check_period(charge.charge_period_start, charge.charge_period_end, window.start, window.end)
            result.charges.extend(batch)


def _chosen(contents: Contents, wanted: Wanted) -> Manifest:
    if contents.problems:
        raise NeedsPerson("; ".join(map(str, contents.problems)))
    providers = {each.key.name: each for each in contents.manifests if each.key.kind == "Provider"}
    if wanted.name is None and len(providers) == 1:
        return next(iter(providers.values()))
    if wanted.name in providers:
        return providers[wanted.name]
    held = f"the Providers {', '.join(providers)}; choose one with --name" if providers else "no Provider"
    raise NeedsPerson(f"{wanted.file} holds {held}")


def _spec(contents: Contents, manifest: Manifest) -> ProviderSpec:
    kind = kinds()["Provider"]
    item = manifest.item
    found = [
        *manifest.problems,
        *(
            item.problem(("spec", *fault.path), fault.message)
            for fault in spec_faults(kind, manifest.spec, None, lambda path: item.text(("spec", *path)))
        ),
    ]
    if found:
        raise NeedsPerson("; ".join(map(str, found)))
    spec = read(kind, manifest.spec)
    assert isinstance(spec, ProviderSpec)
    return spec


def _credentials(
    contents: Contents, file: Path, spec: ProviderSpec, connector: type[Connector[Any]], settings: Any
) -> Credentials:
    keys = connector.credential_keys(settings)
    if spec.secret_ref is None:
        if any(key.required for key in keys):
            raise SecretMissing(f"spec.secretRef is missing: {connector.traits.title} needs {keys[0].says}")
        return Credentials({})
    values = _values(contents, file, spec.secret_ref.name)
    found = {}
    for nth, key in enumerate(keys):
        name = spec.secret_ref.key if nth == 0 and spec.secret_ref.key else key.name
        if values.get(name):
            found[key.name] = values[name].strip()
        elif key.required:
            raise SecretMissing(
                f"no Secret {spec.secret_ref.name} with a key {name}: put the value into"
                f" {keyfiles.FOLDER}/{spec.secret_ref.name}/{name} beside {file.name}. {key.says}"
            )
    return Credentials(found)


def _values(contents: Contents, file: Path, name: str) -> Mapping[str, str]:
    """The Secret's values: those of the file, and over them those of the nearest folder that has files of it."""
    declared = next((secret.values for secret in contents.secrets if secret.key.name == name), None) or {}
    kept = (keyfiles.read(folder, name) for folder in _folders(file))
    return {**declared, **next((values for values in kept if values), {})}


def _folders(file: Path) -> Iterator[Path]:
    """The file's folder, and those above it up to where the command was called."""
    here = Path.cwd()
    for folder in file.resolve().parents:
        yield folder
        if folder == here or here not in folder.parents:
            return
