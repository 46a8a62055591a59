"""Two providers that count the same of a vendor's accounts are known by their charges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from ledger import accounts, billed_accounts
from ledger.accounts import Account
from ledger.charge import Charge
from ledger.database import WriterDB
from ledger.standing import Double, standing
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days

TODAY = date(2026, 10, 5)


class Of(NamedTuple):
    """What a charge says of whose it is, and the day on which it starts."""

    vendor: str
    account: str | None = None
    billing: str | None = None
    group: str | None = None
    day: int = 3

    def charge(self, number: int) -> Charge:
        said: dict[str, Any] = {
            "service_provider_name": self.vendor,
            "sub_account_id": self.account,
            "billing_account_id": self.billing,
        }
        extra = {"x_ResourceGroupName": self.group} if self.group else None
        return charge(self.day, str(number), "1")._replace(**said, extra=extra)


@pytest.fixture(autouse=True)
async def alone(writer: WriterDB) -> None:
    """Nothing is known of other tests' providers, which are of other namespaces."""
    async with writer.statement() as connection:
        await connection.execute(text("delete from billed_account"))


async def hold(db: WriterDB, namespace: str, name: str, held: Sequence[Of], **terms: Any) -> Desk:
    """A provider with these charges, and with its accounts noted."""
    desk = Desk(db, namespace, name)
    await accounts.register(db, Account(namespace, name, "Provider", "focus", **terms), READ_AT)
    await desk.sync(days(-30, 8), [each.charge(number) for number, each in enumerate(held)])
    await billed_accounts.note(db, namespace, name, TODAY)
    return desk


async def doubles(desk: Desk) -> Sequence[Double]:
    found = await standing(desk.db, desk.namespace, desk.name, TODAY)
    assert found is not None
    assert not found.is_unsorted
    return found.doubles


AWS, GCP, AZURE = "AWS", "Google Cloud", "Microsoft"
ONE, TWO = "123456789012", "210987654321"
SUBSCRIPTION = "0f0f0f0f-0000-4000-8000-000000000001"

SAME = {
    "explorer beside export": ([Of(AWS, ONE)], [Of(AWS, ONE, TWO)], AWS, [ONE]),
    "a file that says it otherwise": ([Of(AWS, ONE)], [Of("Amazon Web Services", ONE)], AWS, [ONE]),
    "a member beside its payer": ([Of(AWS, ONE), Of(AWS, TWO)], [Of(AWS, TWO)], AWS, [TWO]),
    "four members": (
        [Of(AWS, f"{n}" * 12) for n in "4321"],
        [Of(AWS, f"{n}" * 12) for n in "1234"],
        AWS,
        ["1" * 12] * 4,
    ),
    "google's two exports": ([Of(GCP, "shop", "01-A")], [Of(GCP, "projects/shop", "01-A")], GCP, ["shop"]),
    "a billing account without projects": ([Of(GCP, "shop", "01-A")], [Of("GCP", None, "01-A")], GCP, ["01-a"]),
    "azure's paths": ([Of(AZURE, SUBSCRIPTION)], [Of(AZURE, f"/subscriptions/{SUBSCRIPTION}")], AZURE, [SUBSCRIPTION]),
    "a group beside its subscription": (
        [Of(AZURE, SUBSCRIPTION, None, "Shop"), Of(AZURE, SUBSCRIPTION, None, "web"), Of(AZURE, SUBSCRIPTION)],
        [Of(AZURE, SUBSCRIPTION, None, "shop")],
        AZURE,
        [f"{SUBSCRIPTION}/shop"],
    ),
    "a group beside a subscription without groups": (
        [Of(AZURE, SUBSCRIPTION)],
        [Of(AZURE, SUBSCRIPTION, None, "shop")],
        AZURE,
        [SUBSCRIPTION],
    ),
    "a vendor's account told whole": ([Of("Acme", "app", "acme")], [Of("Acme", "app", "acme")], "Acme", ["acme/app"]),
}
OTHERS = {
    "other accounts": ([Of(AWS, ONE)], [Of(AWS, TWO)]),
    "two projects of a billing account": ([Of(GCP, "shop", "01-A")], [Of(GCP, "blog", "01-A")]),
    "projects, and what is of none": ([Of(GCP, "shop", "01-A"), Of(GCP, None, "01-A")], [Of(GCP, "blog", "01-A")]),
    "two groups of a subscription": ([Of(AZURE, SUBSCRIPTION, None, "shop")], [Of(AZURE, SUBSCRIPTION, None, "web")]),
    "the same id of others": ([Of(AWS, ONE)], [Of("Acme", ONE, ONE)]),
    "accounts without ids": ([Of("Acme"), Of(AWS)], [Of("Acme"), Of(AWS)]),
    "a common name": ([Of("Acme", "default")], [Of("Acme", "default")]),
    "a common name in two accounts": ([Of("Acme", "default", "a")], [Of("Acme", "default", "b")]),
    "a vendor's fees": ([Of("Acme", None, "personal")], [Of("Acme", None, "personal")]),
    "one after the other": ([Of(AWS, ONE, day=3)], [Of(AWS, ONE, day=4)]),
    "another month's same day": ([Of(AWS, ONE, day=3)], [Of(AWS, ONE, day=-27)]),
}


@pytest.mark.parametrize("case", SAME)
async def test_the_same_account_is_counted_twice(case: str, writer: WriterDB, namespace: str) -> None:
    """Both providers learn which accounts, and from whom."""
    left, right, vendor, shared = SAME[case]
    one, two = await hold(writer, namespace, "one", left), await hold(writer, namespace, "two", right)

    [said], [echoed] = await doubles(one), await doubles(two)
    assert (said.provider, said.vendor, said.count, said.removed) == ("two", vendor, len(shared), False)
    assert (echoed.provider, echoed.accounts) == ("one", said.accounts)
    assert said.accounts[0] == shared[0]
    assert len(said.accounts) == min(len(shared), 3)


@pytest.mark.parametrize("case", OTHERS)
async def test_others_are_not(case: str, writer: WriterDB, namespace: str) -> None:
    """Nothing is told of accounts that are others, or whose ids say too little."""
    left, right = OTHERS[case]
    one, two = await hold(writer, namespace, "one", left), await hold(writer, namespace, "two", right)

    assert [await doubles(one), await doubles(two)] == [[], []]


async def test_only_what_totals_count(writer: WriterDB, namespace: str) -> None:
    """Of two of which one only attributes, neither is told of the other."""
    one = await hold(writer, namespace, "one", [Of(AWS, ONE)])
    two = await hold(writer, namespace, "two", [Of(AWS, ONE)], attribution_only=True)

    assert [await doubles(one), await doubles(two)] == [[], []]


async def test_names_of_other_namespaces_are_not_told(writer: WriterDB, namespace: str) -> None:
    """That totals over both count twice is told; who it is belongs to those who may see that namespace."""
    here = await hold(writer, namespace, "one", [Of(AWS, ONE)])
    await hold(writer, f"{namespace}-b", "secret", [Of(AWS, ONE)])

    [said] = await doubles(here)
    assert said == Double(None, removed=False, vendor=AWS, count=1, accounts=[ONE])


async def test_it_ends_with_its_cause(writer: WriterDB, namespace: str) -> None:
    """Kept charges of a provider that was deleted still count; removed ones, and ones that went elsewhere, do not."""
    one = await hold(writer, namespace, "one", [Of(AWS, ONE)])
    two = await hold(writer, namespace, "two", [Of(AWS, ONE)])
    three = await hold(writer, namespace, "three", [Of(AWS, ONE)])
    gone = Account(namespace, "two", "Provider", "focus")

    await accounts.retire(writer, gone, READ_AT)
    assert [(each.provider, each.removed) for each in await doubles(one)] == [("three", False), ("two", True)]
    await accounts.purge(writer, gone)
    assert [each.provider for each in await doubles(one)] == ["three"]
    await three.sync(days(-30, 8), [Of(AWS, TWO).charge(0)])
    found = await standing(writer, namespace, "three", TODAY)
    assert found is not None
    assert found.is_unsorted
    await billed_accounts.note(writer, namespace, "three", TODAY)
    assert [await doubles(one), await doubles(three)] == [[], []]
    assert await two.rows("select * from billed_account where namespace = :ns and provider = :name") == []


async def test_nothing_is_written_where_nothing_changed(writer: WriterDB, namespace: str) -> None:
    """Looking again leaves every row as it was; what lies before the last month goes."""
    one = await hold(writer, namespace, "one", [Of(AWS, ONE)])
    versions = "select xmin::text, days from billed_account where namespace = :ns"
    before = await one.rows(versions)
    assert len(before) == 1

    assert not await billed_accounts.note(writer, namespace, "one", TODAY)
    await one.sync(days(-30, 8), [Of(AWS, ONE).charge(0), Of(AWS, ONE).charge(1)])
    assert not await billed_accounts.note(writer, namespace, "one", TODAY)
    assert await one.rows(versions) == before

    await one.sync(days(-30, 8), [Of(AWS, ONE).charge(0)])
    assert await billed_accounts.note(writer, namespace, "one", date(2026, 12, 1))
    assert await one.rows(versions) == []
