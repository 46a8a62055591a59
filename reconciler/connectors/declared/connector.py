"""The connector of type `http`: asks as the manifest says, and reads what it says. It knows no vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.declared.asking import Asking, Following, Position
from reconciler.connectors.declared.calendar import Calendar
from reconciler.connectors.declared.expressions import Evaluator
from reconciler.connectors.declared.mapping import Reading, Unfit
from reconciler.connectors.declared.settings import HttpSettings
from reconciler.connectors.declared.templates import secrets
from reconciler.connectors.http import pages
from reconciler.errors import Bug

SECRET_OF: Final = "the value of ${{secret.{key}}} in spec.http.request"


class Declared(Connector[HttpSettings]):
    """Reads any vendor whose API answers with JSON rows."""

    Settings = HttpSettings
    traits: ClassVar[Traits] = Traits(
        type="http",
        title="Any JSON API",
        origin="api",
        gives="Whatever the manifest maps: cost and FOCUS fields per row of the answer.",
        grain="Day",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(days=7),
    )

    def __init__(self, settings: HttpSettings, context: Context) -> None:
        super().__init__(settings, context)
        evaluator = Evaluator()
        self._asking = Asking(settings, context.credentials)
        self._following = Following(settings.paging, evaluator, self._asking)
        self._reading = Reading(settings, evaluator)
        self._calendar = Calendar(settings.zone, settings.grain, settings.time_format)
        self.http.authorise(self._asking.credential_headers())

    @classmethod
    def credential_keys(cls, settings: HttpSettings) -> tuple[CredentialKey, ...]:
        """One for each `${secret.KEY}`, in the order in which they stand."""
        named = dict.fromkeys(key for text in settings.request.texts() for key in secrets(text))
        return tuple(CredentialKey(key, SECRET_OF.format(key=key)) for key in named)

    async def check(self) -> Account:
        """Ask for the first page of the newest day that is over, or of this month, and read it."""
        today = midnight(self.context.now.date())
        (span, *_) = self._calendar.spans([Span(today - DAY, today)], self.context.now, 1)
        window = Window(span)
        async for page in self._pages(window):
            for _ in page:
                pass
            break
        return Account()

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The vendor's own days or months; nothing of them is known to be whole before `settleDays` have passed."""
        known = self.context.now - self.settings.settle_days * DAY
        spans = self._calendar.spans(due, self.context.now, self.settings.window_days)
        return [Window(span, seen_until=known) for span in spans]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every row of every page."""
        async for page in self._pages(window):
            batch: list[Charge] = []
            for charge in page:
                batch.append(charge)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
            if batch:
                yield batch

    async def _pages(self, window: Window) -> AsyncIterator[Any]:
        """The charges of each page, read as they are taken."""
        before: list[Any] = []

        async def fetch(position: Position | None) -> tuple[Any, Position | None]:
            asked = self._asking.page(window.span, position)
            document = await self.http.document(
                asked.method, asked.path, params=asked.params, body=asked.body, headers=asked.headers, retry=True
            )
            try:
                rows = self._reading.rows(document.content)
                following = self._following.after(document, len(rows), position)
                if rows and following is not None and [document.content] == before:
                    raise Bug(
                        "two pages in a row are the same: does the vendor know the parameter?", reason="CursorLoop"
                    )
                before[:] = [document.content]
                return self._cleaned(self._reading.charges(document.content, rows, window)), following
            except Unfit as error:
                raise self._masked(error) from None

        async for page in pages(fetch):
            yield page

    def _cleaned(self, charges: Any) -> Any:
        try:
            yield from charges
        except Unfit as error:
            raise self._masked(error) from None

    def _masked(self, error: Unfit) -> Unfit:
        return Unfit(self.http.clean(str(error)))
