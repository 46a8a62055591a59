"""OpenAI: what an organisation is billed for, by day, project and line item.

Money comes from `GET /organization/costs` alone, which OpenAI says reconciles to its invoice. A cost row says how
much was consumed; where it does not, tokens come from `GET /organization/usage/...`, and only to a line that alone
can have consumed them. Facts: platform.openai.com/docs/api-reference/usage and the specification beside it
(github.com/openai/openai-openapi, version 2.3.0).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import Field, ValidationError

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, next_cursor, pages
from reconciler.connectors.openai.bill import Line, Used, charge, tokens, unmeasured
from reconciler.connectors.openai.lineitem import read_line_item
from reconciler.connectors.openai.refusal import ADMIN_KEY, NotAllowed, explained
from reconciler.connectors.openai.report import Answer, Bucket, CostRow, Page, Project, UsageRow
from reconciler.errors import Bug, NeedsPerson

COSTS: Final = "/organization/costs"
PROJECTS: Final = "/organization/projects"
COMPLETIONS: Final = "/organization/usage/completions"
EMBEDDINGS: Final = "/organization/usage/embeddings"
MOST_DAYS: Final = 31
"""Days that one answer of the usage endpoints may hold; costs allow 180."""
NO_NAMES: Final = (
    "The key may not list projects (scope api.management.read), so they are shown by their ids; let it read projects, "
    "too, to see names."
)

Params = list[tuple[str, str]]
R = TypeVar("R")
V = TypeVar("V", bound=Answer)


class OpenAISettings(Settings):
    """The block `spec.openai` of a Provider."""

    base_url: str = Field(
        default="https://api.openai.com/v1",
        alias="baseURL",
        description="Address of the API, with its version. Change it only for a proxy in front of api.openai.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    project_ids: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(
        default=(),
        alias="projectIDs",
        description="Ids (proj_...) of the projects to read, at most 100. None named: the whole organisation, with "
        "what belongs to no project.",
        max_length=100,
    )
    days_per_call: int = Field(
        default=8,
        alias="daysPerCall",
        description="Days asked for in one call, 1 to 31. Lower it when an answer is refused as too long.",
        ge=1,
        le=MOST_DAYS,
    )


class OpenAI(Connector[OpenAISettings]):
    """Reads the costs by project and line item, and the tokens of lines that do not say how many they bill."""

    Settings = OpenAISettings
    traits: ClassVar[Traits] = Traits(
        type="openai",
        title="OpenAI",
        origin="api",
        gives="Billed cost per day, project and line item (model and token type), with the quantities consumed.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=7),
        longest_window=MOST_DAYS * DAY,
        credentials=(CredentialKey("apiKey", ADMIN_KEY),),
    )

    def __init__(self, settings: OpenAISettings, context: Context) -> None:
        super().__init__(settings, context)
        self._key = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._key}"})
        self._names: Mapping[str, str] | None = None

    async def check(self) -> Account:
        """Read one day of costs, which wrong kinds of key may not, and the projects that the settings name."""
        today = midnight(self.context.now.date())
        page = _valid(Page[Bucket[CostRow]], await self._ask(COSTS, self._days(Span(today - DAY, today))))
        ids = (row.organization_id for day in page.data for row in day.results if row.organization_id)
        try:
            self._know_projects(await self._projects())
        except NotAllowed:
            return Account(next(ids, None), notes=(NO_NAMES,))
        return Account(next(ids, None))

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every cost row of the window's days, with what was consumed for it where OpenAI says so."""
        for span in _cut(window.span, self.settings.days_per_call * DAY):
            lines = await self._lines(span)
            names = await self._project_names() if any(line.row.project_id for line in lines) else {}
            places = unmeasured(lines)
            usage = await self._usage(span, {lines[place].item.model for place in places})
            counted = {place: tokens(lines[place].item, usage.get(lines[place].used, {})) for place in places}
            for start in range(0, len(lines), BATCH):
                batch = enumerate(lines[start : start + BATCH], start)
                yield [charge(line, counted.get(place), names) for place, line in batch]

    async def _lines(self, span: Span) -> list[Line]:
        return [
            Line(day.start_time, row, read_line_item(row.line_item))
            async for day in self._buckets(COSTS, Page[Bucket[CostRow]], span, "line_item")
            for row in day.results
        ]

    async def _usage(self, span: Span, models: Collection[str | None]) -> Mapping[Used, Mapping[str, int]]:
        """The counts of `models` and of others beside them; no call where there are none.

        Nothing where the key may not read usage: costs do not wait for token counts.
        """
        try:
            return await self._counted(span, models)
        except NotAllowed:
            return {}

    async def _counted(self, span: Span, models: Collection[str | None]) -> Mapping[Used, Mapping[str, int]]:
        found: dict[Used, Counter[str]] = defaultdict(Counter)
        for path in sorted({_counted_at(model) for model in models}):
            async for day in self._buckets(path, Page[Bucket[UsageRow]], span, "model"):
                for row in day.results:
                    if _counted_at(row.model) == path:
                        found[day.start_time, row.project_id, row.model].update(row.counts)
        return found

    async def _buckets(
        self, path: str, kind: type[Page[Bucket[R]]], span: Span, group: str
    ) -> AsyncIterator[Bucket[R]]:
        """The days of `span` by project and `group`; a day comes in one piece, or in pieces one after the other."""
        params = [*self._days(span), ("group_by[]", "project_id"), ("group_by[]", group)]
        days: list[datetime] = []
        async for page in self._pages(path, params):
            for day in _valid(kind, page).data:
                _check_day(day, span, days)
                yield day

    async def _project_names(self) -> Mapping[str, str]:
        if self._names is None:
            try:
                self._names = await self._projects()
            except NotAllowed:  # ids are enough to tell projects apart, and the costs do not wait for names
                self._names = {}
        return self._names

    async def _projects(self) -> dict[str, str]:
        """Names by id, archived projects included; a project without a name goes by its id."""
        names: dict[str, str] = {}
        async for page in self._pages(PROJECTS, [("limit", "100"), ("include_archived", "true")], "after", "last_id"):
            names |= {project.id: project.name or project.id for project in _valid(Page[Project], page).data}
        return names

    def _know_projects(self, names: Collection[str]) -> None:
        unknown = [project for project in self.settings.project_ids if project not in names]
        if unknown:
            raise NeedsPerson(
                f"The key's organisation has no project {', '.join(unknown)}: check openai.projectIDs, and that the "
                "admin key was made in the organisation that has it."
            )

    def _days(self, span: Span) -> Params:
        return [
            ("start_time", str(int(span.start.timestamp()))),
            ("end_time", str(int(span.end.timestamp()))),
            ("bucket_width", "1d"),
            ("limit", str(-((span.start - span.end) // DAY))),
            *(("project_ids[]", project) for project in self.settings.project_ids),
        ]

    def _pages(
        self, path: str, params: Params, cursor: str = "page", field: str = "next_page"
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Every page of `path`; what a page says in `field` is sent as `cursor`, beside all of `params`."""

        async def fetch(place: Any) -> tuple[Mapping[str, Any], Any]:
            page = await self._ask(path, params if place is None else [*params, (cursor, place)])
            return page, next_cursor(page, cursor=field)

        return pages(fetch)

    async def _ask(self, path: str, params: Params) -> Mapping[str, Any]:
        try:
            page = await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused, self._key) from None
        if not isinstance(page, Mapping):
            raise Bug(f"OpenAI answered {path} with something that is no page.")
        return page


def _cut(span: Span, longest: timedelta) -> Iterator[Span]:
    start = span.start
    while start < span.end:
        yield Span(start, min(start + longest, span.end))
        start += longest


def _valid(model: type[V], page: Mapping[str, Any]) -> V:
    try:
        return model.model_validate(page)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise Bug(f"OpenAI's answer cannot be counted, so none of it was: {where}: {first['msg']}") from None


def _counted_at(model: str | None) -> str:
    return EMBEDDINGS if model and "embedding" in model else COMPLETIONS


def _check_day(day: Bucket[R], span: Span, days: list[datetime]) -> None:
    """Add the day to `days`, those before it. A page may end within a day; later, no day comes back."""
    if day.results and not span.start <= day.start_time < span.end:
        raise Bug(f"OpenAI answered with {day.start_time:%Y-%m-%d}, which it was not asked for.")
    if day.start_time in days[:-1]:
        raise Bug(f"OpenAI answered with {day.start_time:%Y-%m-%d} twice, pages apart.", reason="CursorLoop")
    if day.start_time not in days:
        days.append(day.start_time)
