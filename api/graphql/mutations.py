"""Changes that callers may make: ask for a sync, stop one. Each is written to the audit log with the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import strawberry

from api.graphql.context import Context, Resolving
from api.graphql.errors import Code, PublicError
from api.graphql.inputs import Period, text
from api.graphql.paging import read_cursor
from api.graphql.runs import SyncRun, run_of
from ledger import audit, requests
from ledger.database import Connection
from ledger.reads import runs
from ledger.requests import Asking
from ledger.runs import Request


@strawberry.interface(description="Why a change was not made.")
class Problem:
    code: str
    message: str
    field: str | None = strawberry.field(description="The argument that is to blame.")


@strawberry.type(description="There is nothing of that name that the caller may see.")
class NotFoundProblem(Problem):
    pass


@strawberry.type(description="It is not in a state in which this can be done.")
class StateProblem(Problem):
    pass


@strawberry.type(description="The sync was asked for; how it goes is in syncRuns.")
class SyncRequested:
    namespace: str
    provider: str
    from_: date | None = strawberry.field(name="from")
    to: date | None


@strawberry.type(description="The run was asked to stop; it ends with the window it reads.")
class CancelRequested:
    sync_run: SyncRun


SyncProviderResult = Annotated[SyncRequested | NotFoundProblem | StateProblem, strawberry.union("SyncProviderResult")]
CancelSyncResult = Annotated[CancelRequested | NotFoundProblem | StateProblem, strawberry.union("CancelSyncResult")]


async def sync_provider(
    info: Resolving, *, namespace: str, name: str, period: Period | None = None
) -> SyncProviderResult:
    context = allowed(info)
    days = None if period is None else period.meant()
    namespace, name = text(namespace, "namespace"), text(name, "name")
    _check(context, namespace)
    async with context.ledger() as connection:
        suspended = await requests.is_suspended(connection, namespace, name)
        if suspended is None:
            return not_found("There is no such provider.", "name")
        if suspended:
            return StateProblem(code="SUSPENDED", message="It is suspended; set suspend: false first.", field="name")
        wish = Request(None, None) if days is None else Request(days.first, days.after_last)
        await requests.put(connection, Asking(namespace, name, wish, context.principal.name, context.now))
        detail = {} if days is None else {"from": days.first.isoformat(), "to": days.after_last.isoformat()}
        await note(connection, context, "syncProvider", namespace, name, detail)
    return SyncRequested(namespace=namespace, provider=name, from_=wish.first_day, to=wish.after_last_day)


async def cancel_sync(info: Resolving, *, id: strawberry.ID) -> CancelSyncResult:  # noqa: A002  # the schema's word
    context = allowed(info)
    try:
        number, namespace = read_cursor(str(id), "SyncRun", (int, str)) or (0, "")
    except PublicError:
        return not_found("There is no such run.", "id")
    async with context.ledger() as connection:
        run = await runs.sync_run(connection, namespace, number)
        if run is None:
            return not_found("There is no such run.", "id")
        _check(context, namespace)
        if not await requests.put_cancel(connection, namespace, number):
            return StateProblem(code="NOT_RUNNING", message="The run has ended already.", field="id")
        await note(connection, context, "cancelSync", namespace, run.provider, {"run": number})
        changed = await runs.sync_run(connection, namespace, number)
    assert changed is not None
    return CancelRequested(sync_run=run_of(changed))


def allowed(info: Resolving) -> Context:
    """The request, of a caller who may change things. Raises PublicError."""
    if not info.context.principal.may("sync"):
        raise PublicError(Code.FORBIDDEN, "This takes the scope sync.")
    return info.context


def _check(context: Context, namespace: str) -> None:
    """Refuse callers who see the namespace and may not sync in it. To others it is as if it were not there."""
    if context.principal.sees(namespace) and not context.principal.may_sync(namespace):
        raise PublicError(Code.FORBIDDEN, "You may see this namespace, and not ask for syncs in it.")


def not_found(message: str, field: str) -> NotFoundProblem:
    """The answer where there is nothing of that name."""
    return NotFoundProblem(code="NOT_FOUND", message=message, field=field)


async def note(
    connection: Connection, context: Context, action: str, namespace: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Write into the audit log, with the change, what the caller did."""
    principal = context.principal
    entry = audit.Entry(
        at=context.now,
        actor=principal.name,
        actor_kind=principal.kind,
        action=action,
        namespace=namespace,
        subject=subject,
        detail=detail,
        request_id=context.request_id,
    )
    await audit.write(connection, entry)
