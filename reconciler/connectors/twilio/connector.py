"""Twilio: what an account's usage costs, by day and usage category.

Money comes from `GET /2010-04-01/Accounts/{sid}/Usage/Records/Daily.json`, in GMT days.
Facts: twilio.com/docs/usage/api/usage-record and github.com/twilio/twilio-oai.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, Final, TypeVar

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.reading import Answer, read
from reconciler.connectors.twilio.bill import TOTAL, of_day
from reconciler.connectors.twilio.report import Customer, Customers, Listing, Record, Records
from reconciler.errors import Bug, NeedsPerson

ACCOUNTS: Final = "/2010-04-01/Accounts"
MOST_ROWS: Final = "1000"
"""Rows that one page may hold."""

GUIDE: Final = "See docs/connectors/twilio.md."
KEY: Final = (
    "Usage is read with an API key (its SID, SK..., as keySid and its secret as apiKey), or with the Auth Token as "
    f"apiKey and without keySid; both are made in the Twilio Console under API keys & tokens. {GUIDE}"
)
ADVICE: Final = {
    401: "Twilio does not accept the key: apiKey and keySid do not belong together, or not to the account in "
    "twilio.accountSID, or the key was deleted.",
    403: "Twilio knows the key, but it may not read this: a restricted key needs read access to usage records, and the "
    "list of subaccounts (twilio.bySubaccount) takes a main key or the Auth Token.",
    404: "Twilio knows no such account, or does not show it to this key: check twilio.accountSID and twilio.baseURL.",
}
TEST_CREDENTIALS: Final = 20008
"""Twilio's code for what test credentials may not ask for."""
NOT_LIVE: Final = "These are test credentials, which have no usage."

A = TypeVar("A", bound=Answer)
L = TypeVar("L", bound=Listing)


class TwilioSettings(Settings):
    """The block `spec.twilio` of a Provider."""

    account_sid: str = Field(
        alias="accountSID",
        description="The account to read: its SID (AC...), which the Console shows on its first page.",
        pattern=r"^AC[0-9a-fA-F]{32}$",
    )
    by_subaccount: bool = Field(
        default=False,
        alias="bySubaccount",
        description="Whether the costs of each subaccount are told apart, which takes a call or more for each of them, "
        "and the Auth Token or a main API key. Otherwise they are part of the account's.",
    )
    base_url: str = Field(
        default="https://api.twilio.com",
        alias="baseURL",
        description="Address of the API, without /2010-04-01. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Twilio(Connector[TwilioSettings]):
    """Reads daily usage records."""

    Settings = TwilioSettings
    traits: ClassVar[Traits] = Traits(
        type="twilio",
        title="Twilio",
        origin="api",
        gives="Cost per day and usage category, by subaccount if that is wanted.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=7),
        credentials=(
            CredentialKey("apiKey", "the secret of an API key of the account, or the account's Auth Token"),
            CredentialKey("keySid", "the SID (SK...) of that API key; none beside an Auth Token", required=False),
        ),
    )

    def __init__(self, settings: TwilioSettings, context: Context) -> None:
        super().__init__(settings, context)
        user = (context.credentials.get("keySid") or "").strip() or settings.account_sid
        pair = f"{user}:{context.credentials['apiKey'].strip()}"
        self.http.authorise({"Authorization": f"Basic {b64encode(pair.encode()).decode()}"})

    async def check(self) -> Account:
        """Read yesterday's total; then who the account is, which not every kind of key is told."""
        sid = self.settings.account_sid
        yesterday = (self.context.now - DAY).date()
        await self._ask(Records, _usage_path(sid), {**_days(yesterday, yesterday), "Category": TOTAL})
        if self.settings.by_subaccount:
            names = {each.sid: each.friendly_name for each in await self._customers()}
            return Account(sid, names.get(sid), (f"{len(names.keys() - {sid})} subaccounts",))
        try:
            return Account(sid, (await self._ask(Customer, f"{ACCOUNTS}/{sid}.json", {})).friendly_name)
        except NeedsPerson:
            return Account(sid)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """What every category cost on each of the window's days."""
        first, last = window.start.date(), (window.end - timedelta(microseconds=1)).date()
        whole = Customer(sid=self.settings.account_sid)
        for customer in await self._customers() if self.settings.by_subaccount else [whole]:
            days = await self._records(customer, first, last)
            charges = [charge for day in sorted(days) for charge in of_day(days[day], customer)]
            for place in range(0, len(charges), BATCH):
                yield charges[place : place + BATCH]

    async def _records(self, customer: Customer, first: date, last: date) -> Mapping[date, Sequence[Record]]:
        days: dict[date, list[Record]] = defaultdict(list)
        subaccounts = "false" if self.settings.by_subaccount else "true"
        params = {**_days(first, last), "IncludeSubaccounts": subaccounts, "PageSize": MOST_ROWS}
        async for page in self._pages(Records, _usage_path(customer.sid), params):
            for record in page.usage_records:
                if not first <= record.start_date <= last:
                    raise Bug(f"Twilio answered with {record.start_date}, which it was not asked for.")
                days[record.start_date].append(record)
        return days

    async def _customers(self) -> Sequence[Customer]:
        """The account and its subaccounts, also those that are closed, since they may have had usage."""
        params = {"PageSize": MOST_ROWS}
        found = [each async for page in self._pages(Customers, f"{ACCOUNTS}.json", params) for each in page.accounts]
        if len({each.sid for each in found}) < len(found):
            raise Bug("Twilio lists an account twice.", reason="CursorLoop")
        return found

    async def _pages(self, kind: type[L], path: str, params: Mapping[str, str]) -> AsyncIterator[L]:
        """Every page of a list; all but the first are named by the one before."""

        async def fetch(following: str | None) -> tuple[L, str | None]:
            page = await (self._ask(kind, path, params) if following is None else self._ask(kind, following, {}))
            return page, page.next_page_uri

        async for page in pages(fetch):
            yield page

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str]) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), "Twilio")
        except Refused as refused:
            raise explained(refused) from None


def _usage_path(sid: str) -> str:
    return f"{ACCOUNTS}/{sid}/Usage/Records/Daily.json"


def _days(first: date, last: date) -> dict[str, str]:
    """The days from `first` to `last`, which is one of them."""
    return {"StartDate": first.isoformat(), "EndDate": last.isoformat()}


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"code": 20003, "message": "...", "status": 401}`."""
    body: Mapping[str, Any] = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    advice = ADVICE.get(refused.status, f"Twilio refused the request ({refused.status}).")
    if body.get("code") == TEST_CREDENTIALS:
        advice = NOT_LIVE
    return NeedsPerson(f"{advice} {KEY} Twilio said: {said}", reason=refused.reason)
