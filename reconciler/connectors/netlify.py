"""Netlify: what a team's builds cost beyond its plan, by billing period, and the plan's fee. An estimate.

`GET /accounts` and `GET /{account_id}/builds/status` are documented: how many minutes were built in this billing period
and in the one before, and how many the plan includes. Netlify's API tells no money; bandwidth, functions and credits
are told by endpoints that are not documented, and are left alone.
Facts: open-api.netlify.com (github.com/netlify/open-api). The guide is docs/connectors/netlify.md.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.charge import Charge
from ledger.money import ZERO, plain
from ledger.window import DAY, Span, Window, midnight, month_start, next_month
from reconciler.connectors.base import Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import Answer, Number, read
from reconciler.errors import Bug, NeedsPerson

PROVIDER: Final = "Netlify"
SKU: Final = "build_minutes"

TOKEN: Final = (
    "Builds are read with a personal access token of a member of the team, made at "
    "https://app.netlify.com/user/applications. See docs/connectors/netlify.md."
)
ADVICE: Final = {
    401: "Netlify does not accept the token: it is mistyped, expired or revoked.",
    403: "Netlify knows the token, but its owner may not read this team's builds.",
    404: "Netlify has no such team for this token, or nothing at this address: check netlify.account and "
    "netlify.baseURL.",
}


def _or_none(value: object) -> object:
    return None if value == "" else value


def _number_or_none(value: object) -> object:
    """A number of minutes; None for words, such as that there is no limit."""
    return value if str(value).isdecimal() else None


Text = Annotated[str | None, BeforeValidator(_or_none)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Stated = Annotated[Moment | None, BeforeValidator(_or_none)]
Count = Annotated[Number | None, BeforeValidator(_or_none)]
Included = Annotated[Number | None, BeforeValidator(_number_or_none)]


class Team(Answer):
    """An account, as Netlify calls teams in its API."""

    id: str = Field(min_length=1)
    name: Text = None
    slug: Text = None
    type_name: Text = None


class Teams(Answer):
    """All teams of the token's owner, under a name that Netlify does not give them."""

    rows: list[Team]


class Minutes(Answer):
    """Minutes built in the billing period that runs and in the one before, and how many the plan includes."""

    current: Count = None
    previous: Count = None
    period_start_date: Stated = None
    included_minutes: Included = None
    included_minutes_with_packs: Included = None

    @property
    def included(self) -> Decimal | None:
        return self.included_minutes if self.included_minutes_with_packs is None else self.included_minutes_with_packs


class Status(Answer):
    minutes: Minutes


class Statuses(Answer):
    """What Netlify answers about a team's builds: one status, or none where it never built."""

    rows: list[Status] = Field(max_length=1)


class NetlifySettings(PricedSettings):
    """The block `spec.netlify` of a Provider."""

    account: str | None = Field(
        default=None,
        description="Slug or id of the team to read. If absent, the only one that the token's owner is in.",
        min_length=1,
        max_length=256,
    )
    included_minutes: int | None = Field(
        default=None,
        alias="includedMinutes",
        description="Build minutes that the plan includes in a billing period. If absent, what Netlify says.",
        ge=0,
        le=1_000_000_000,
    )
    base_url: str = Field(
        default="https://api.netlify.com/api/v1",
        alias="baseURL",
        description="Address of the API. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Netlify(Connector[NetlifySettings]):
    """Prices build minutes beyond the plan."""

    Settings = NetlifySettings
    traits: ClassVar[Traits] = Traits(
        type="netlify",
        title="Netlify",
        origin="estimate",
        gives="Build minutes by billing period; those beyond the plan are priced, and the plan's fee.",
        grain="Month",
        reach=timedelta(days=31),
        settling=timedelta(days=1),
        moving=timedelta(days=2),
        rate_limit="500 calls a minute",
        credentials=(CredentialKey("apiKey", "a personal access token of a member of the team"),),
    )

    def __init__(self, settings: NetlifySettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._found: tuple[Team, Minutes] | None = None

    async def check(self) -> Account:
        """Find the team, and read its builds."""
        team, _ = await self._read()
        return Account(team.id, team.name, (f"plan {team.type_name}",) if team.type_name else ())

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The billing periods that hold what is due, newest first: there are figures of two, the last of them open."""
        _, minutes = await self._read()
        start, tonight = self._start(minutes), midnight(self.context.now.date()) + DAY
        periods = [Span(start, tonight), Span(_month_before(start), start)]
        return [Window(period) for period in periods if any(period.overlaps(span) for span in due)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The period's build minutes, and the plan's fees in it."""
        team, minutes = await self._read()
        start = self._start(minutes)
        count, end = (minutes.current, _month_after(start)) if window.start >= start else (minutes.previous, start)
        like = self._like(team, Span(window.start, end))
        yield [
            *([self._built(like, count, minutes)] if count is not None else []),
            *fees(self.settings.plan, window.span, like),
        ]

    def _built(self, like: Charge, count: Decimal, minutes: Minutes) -> Charge:
        """What `count` minutes cost; nothing within what the plan includes, and no price if that is not known."""
        own = self.settings.included_minutes
        included = minutes.included if own is None else Decimal(own)
        built = like._replace(
            charge_frequency="Usage-Based",
            charge_description="Build minutes",
            sku_id=SKU,
            consumed_quantity=count,
            consumed_unit="Minutes",
            extra={"x_included_minutes": plain(included)} if included is not None else None,
        )
        tariff = self.settings.tariff("netlify")
        if included is None:
            return built._replace(billing_currency=tariff.currency)
        if count <= included:
            return built._replace(billed_cost=ZERO, billing_currency=tariff.currency)
        return tariff.priced(built, Fraction(count) - Fraction(included))

    def _start(self, minutes: Minutes) -> datetime:
        """The first day of the billing period that runs; of the month, where Netlify does not tell."""
        start = minutes.period_start_date
        return month_start(self.context.now) if start is None else midnight(start.date())

    async def _read(self) -> tuple[Team, Minutes]:
        if self._found is None:
            team = self._chosen(read(Teams, {"rows": await self._ask("/accounts")}, PROVIDER).rows)
            answer = await self._ask(f"/{quote(team.id, safe='')}/builds/status")
            statuses = read(Statuses, {"rows": answer}, PROVIDER).rows
            minutes = statuses[0].minutes if statuses else Minutes()
            if minutes.period_start_date is not None and minutes.period_start_date > self.context.now:
                raise Bug("Netlify's billing period has not begun: none of it was counted.")
            self._found = team, minutes
        return self._found

    def _chosen(self, teams: Sequence[Team]) -> Team:
        named = self.settings.account
        found = [team for team in teams if named in (None, team.id, team.slug)]
        if len(found) == 1:
            return found[0]
        choice = ", ".join(team.slug or team.id for team in teams[:20]) or "none"
        raise NeedsPerson(
            f"Set netlify.account to one of the teams that the token's owner is in: {choice}. {TOKEN}",
            reason="NotFound",
        )

    def _like(self, team: Team, period: Span) -> Charge:
        """What all charges of the period say."""
        return Charge(
            charge_period_start=period.start,
            charge_period_end=period.end,
            billing_currency="USD",
            billed_cost=None,
            x_origin="estimate",
            service_name=PROVIDER,
            service_provider_name=PROVIDER,
            service_category="Web",
            billing_account_id=team.id,
            sub_account_id=team.slug or team.id,
            sub_account_name=team.name,
        )

    async def _ask(self, path: str) -> Any:
        try:
            return await self.http.json("GET", path)
        except Refused as refused:
            raise explained(refused) from None


def _month_before(day: datetime) -> datetime:
    """The same day of the month before, or its last if it has fewer."""
    return _clipped(month_start(day) - DAY, day.day)


def _month_after(day: datetime) -> datetime:
    return _clipped(next_month(day), day.day)


def _clipped(month: datetime, day: int) -> datetime:
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"code": 401, "message": "..."}`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    advice = ADVICE.get(refused.status, f"Netlify refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} {TOKEN} Netlify said: {said}", reason=refused.reason)
