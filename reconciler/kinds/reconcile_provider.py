"""Reconciling a Provider: is a sync due, with which credentials, and how did it go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from ledger import accounts, leases, manual_entries
from ledger.accounts import Account
from ledger.resources import Ref
from reconciler import feeding
from reconciler.case import Case, Outcome
from reconciler.connectors.base import Connector, Context, Credentials
from reconciler.connectors.http import Meter, VendorClient
from reconciler.deps import Deps, salted
from reconciler.doubles import remarks
from reconciler.feeding import Feed
from reconciler.kinds import findings
from reconciler.kinds.provider import ProviderSpec
from reconciler.kinds.reading import read, settings_of
from reconciler.rhythm import next_due
from reconciler.sources.base import SecretMissing
from reconciler.status import is_ready
from reconciler.sync import Ending, Sync, Terms

AnyConnector = type[Connector[Any]]


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Bring the ledger up to date with what the Provider asks for. Raises what its spec or Secret is wrong in."""
    spec = read(deps.kinds["Provider"], case.resource.spec)
    assert isinstance(spec, ProviderSpec)
    connector = deps.connector(spec.type)
    if not (spec.suspend or deps.desks.has_place(spec.type, case.resource.key)):
        return Outcome(None, waits=True)  # before anything is asked of the database on its behalf
    outcome = await _reconciled(case, deps, spec, connector)
    cost = findings.monthly(outcome.fields.get("syncCost", case.kept.get("syncCost")), spec.interval)
    return replace(outcome, fields={**outcome.fields, "syncCost": cost})


async def _reconciled(case: Case, deps: Deps, spec: ProviderSpec, connector: AnyConnector) -> Outcome:
    known = await feeding.register(case, deps, _account(case, spec, connector))
    if spec.suspend:
        await accounts.schedule(deps.db, case.ref.namespace, case.ref.name, None)
        return Outcome(feeding.SUSPENDED, feeding.figures(known, None), remarks(known))
    credentials = await _credentials(case, deps, spec, connector)
    now = deps.now()
    why = feeding.trigger(case, known, now)
    if why is None and _rotated(case, deps, spec, credentials):
        why = "SpecChange"
    if why is None:
        return feeding.as_it_was(known, _all_well(connector), now)
    outcome = await feeding.feed(case, deps, known, why, _feed(case, deps, spec, connector, credentials))
    if outcome.verdict is not None:  # it was used
        _remember(case, deps, spec, credentials)
    return outcome


async def leave(ref: Ref, spec: Mapping[str, Any], deps: Deps) -> bool:
    """The Provider is gone: remove its data if it said so, else keep the history. True when all of it went."""
    account = Account(ref.namespace, ref.name, ref.kind, str(spec.get("type", "")))
    if spec.get("deletionPolicy") != "Delete":
        await accounts.retire(deps.db, account, deps.now())
        return False
    await _purge(deps, account)
    return True


async def _purge(deps: Deps, account: Account) -> None:
    """Remove the data under the lease, so that no sync that still runs writes any of it again."""
    lease = await leases.take(deps.db, account.namespace, account.name, deps.holder, deps.lease_ttl)
    if lease is None:
        raise leases.Busy(f"{account.namespace}/{account.name} is being synced; its data is removed after that")
    try:
        await accounts.purge(deps.db, account)
    finally:
        await leases.give_back(deps.db, lease)


def _feed(case: Case, deps: Deps, spec: ProviderSpec, connector: AnyConnector, credentials: Credentials) -> Feed:
    terms = _terms(spec, connector)

    async def work(sync: Sync) -> Ending:
        async with _opened(case, deps, spec, connector, credentials, sync) as opened:
            sync.clean = opened.http.clean
            known = is_ready(case.before) and not case.changed
            fields = {} if known else {"account": findings.account(await opened.check(), sync.clean, deps.now())}
            ending = await sync.read_due(opened, terms)
            fields |= {"syncCost": findings.cost(opened.sync_price(terms.moving))}
            return replace(ending, fields=fields, error=ending.error or await opened.awaiting())

    def next_after(now: datetime) -> datetime:
        return next_due(now, spec.interval, deps.phase(case.ref.namespace, case.ref.name))

    return Feed(_account(case, spec, connector), _all_well(connector), next_after, work, vendor=spec.type)


def _account(case: Case, spec: ProviderSpec, connector: AnyConnector) -> Account:
    stated = spec.attribution_only
    traits = connector.traits_of(settings_of(spec, connector))
    attribution_only = traits.attribution_only if stated is None else stated
    lag = traits.settling + spec.interval
    return case.account(spec.type, suspended=spec.suspend, attribution_only=attribution_only, lag=lag)


def _all_well(connector: AnyConnector) -> str:
    return f"the billing data of {connector.traits.title} is read and stored"


def _terms(spec: ProviderSpec, connector: AnyConnector) -> Terms:
    traits = connector.traits_of(settings_of(spec, connector))
    history = spec.history if traits.reach is None else min(spec.history, traits.reach)
    return Terms(history, spec.restate if spec.restate is not None else traits.moving, traits.settling)


@asynccontextmanager
async def _opened(
    case: Case, deps: Deps, spec: ProviderSpec, connector: AnyConnector, credentials: Credentials, sync: Sync
) -> AsyncIterator[Connector[Any]]:
    """The connector with its client, whose calls are metered in the ledger."""
    now = deps.now()
    settings = settings_of(spec, connector)
    per_day = spec.call_budget.per_day if spec.call_budget is not None else None
    book = _Book(sync, at_once=per_day is not None)
    meter = Meter(per_day=per_day, spent_today=sync.turn.calls, book=book, clock=deps.clock)
    client = VendorClient(
        base_url=getattr(settings, "base_url", None),
        policy=deps.egress,
        meter=meter,
        redact=credentials.secrets(),
        limits=deps.limits,
        clock=deps.clock,
    )
    async with client:
        try:
            yield connector(
                settings,
                Context(
                    client,
                    credentials,
                    now,
                    sync.turn.memory,
                    case.resource.folder,
                    name=case.ref.name,
                    namespace=case.ref.namespace,
                    entries=partial(manual_entries.of_provider, deps.db, case.ref.namespace, case.ref.name),
                ),
            )
        finally:
            sync.note(0, meter.bytes)


class _Book:
    """Counts calls; `at_once` where a budget depends on it, so that a killed process has forgotten none."""

    def __init__(self, sync: Sync, *, at_once: bool) -> None:
        self._sync, self._at_once = sync, at_once

    async def spend(self, calls: int) -> None:
        self._sync.note(calls, 0)
        if self._at_once:
            await self._sync.meter()


async def _credentials(case: Case, deps: Deps, spec: ProviderSpec, connector: AnyConnector) -> Credentials:
    wanted = connector.credential_keys(settings_of(spec, connector))
    if not wanted:
        return Credentials({})
    if spec.secret_ref is None:
        raise SecretMissing(f"spec.secretRef is missing: {connector.traits.title} needs {wanted[0].says}")
    values = await deps.source.read_secret(case.ref.namespace, spec.secret_ref.name)
    found = {}
    for nth, key in enumerate(wanted):
        name = spec.secret_ref.key if nth == 0 and spec.secret_ref.key else key.name
        if values.get(name):
            found[key.name] = values[name].strip()
        elif key.required:
            raise SecretMissing(
                f"the Secret {spec.secret_ref.name} in namespace {case.ref.namespace} has no key {name}: {key.says}"
            )
    return Credentials(found)


def _secret_of(case: Case, spec: ProviderSpec) -> tuple[str, str]:
    return case.ref.namespace, f"{case.ref.name}/{spec.secret_ref.name if spec.secret_ref else ''}"


def _rotated(case: Case, deps: Deps, spec: ProviderSpec, credentials: Credentials) -> bool:
    """Whether the credentials are others than those of this process's last sync."""
    before = deps.secrets_seen.setdefault(_secret_of(case, spec), salted(credentials.secrets()))
    return before != salted(credentials.secrets())


def _remember(case: Case, deps: Deps, spec: ProviderSpec, credentials: Credentials) -> None:
    deps.secrets_seen[_secret_of(case, spec)] = salted(credentials.secrets())
