"""The AWS connector, source export, against buckets of moto and a scripted S3."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.focus import COLUMNS
from reconciler.connectors.aws.delivery import Delivery
from reconciler.connectors.aws.export import Export
from reconciler.connectors.http import Meter
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.aws_exports import ROOT, Account, ExportDesk, row
from tests.integration.connectors.aws_vendor import xml_refusal
from tests.integration.connectors.focus_files import HISTORY

JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"


@pytest.fixture
def account(moto: str) -> Account:
    return Account(moto)


@pytest.fixture
def desk(moto: str, tmp_path: Path) -> ExportDesk:
    return ExportDesk(tmp_path, url=moto)


async def calls(desk: ExportDesk) -> int:
    """How many calls a sync takes."""
    desk.meter = Meter()
    assert await desk.sync() == []
    return desk.meter.calls


def costs(*amounts: str) -> Counter[str]:
    return Counter(amounts)


async def test_lines_arrive_as_aws_wrote_them(account: Account, desk: ExportDesk) -> None:
    """All columns of FOCUS 1.2 and AWS's own arrive; doubles come as the shortest number that names them."""
    stated: dict[str, Any] = {
        **{name: f"a {name}" for name, column in COLUMNS.items() if column.kind == "text" and column.since <= "1.2"},
        **row("2026-03-05", "0.1"),
        "ListCost": Decimal("1E-7"),
        "ChargeClass": None,
        "x_Discounts": {"EDP": "-0.01"},
        "x_Operation": "RunInstances",
    }
    account.overwrite(MARCH, [stated])
    assert await desk.sync() == []

    (charge,) = desk.stored
    assert (charge.billed_cost, charge.effective_cost, charge.list_cost) == tuple(map(Decimal, ("0.1", "0.1", "1E-7")))
    assert charge.charge_period_start == datetime(2026, 3, 5, tzinfo=UTC)
    assert (charge.x_origin, charge.service_provider_name, charge.tags) == ("file", "AWS", {"team": "payments"})
    assert (charge.sub_account_id, charge.region_id, charge.sku_id) == ("210987654321", "eu-central-1", "a SkuId")
    extra = charge.extra or {}
    assert (extra["CommitmentDiscountId"], extra["InvoiceId"]) == ("a CommitmentDiscountId", "a InvoiceId")
    assert (extra["x_ServiceCode"], extra["x_Operation"]) == ("AmazonEC2", "RunInstances")
    assert "EDP" in str(extra["x_Discounts"])


async def test_months_are_read_once(account: Account, desk: ExportDesk) -> None:
    """The first sync reads every month, the next asks for the list of manifests and nothing else."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "1")], [row("2026-02-28", "2")])
    account.overwrite(MARCH, [row("2026-03-01", "4")])
    assert await calls(desk) == 1 + 2 * 2 + 3
    assert desk.months == [MARCH, FEBRUARY]
    assert desk.costs == costs("1", "2", "4")
    delivered = [window.seen_until for window in desk.read]
    assert all(moment is not None and datetime.now(UTC) - moment < timedelta(minutes=2) for moment in delivered)

    assert await calls(desk) == 1
    assert desk.months == []


@pytest.mark.parametrize("packed", [False, True], ids=["parquet", "csv"])
async def test_a_month_that_changed_is_read_whole(packed: bool, account: Account, desk: ExportDesk) -> None:
    """A refresh over the former one replaces that month alone; surplus files it leaves behind do not count."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "8")], packed=packed)
    first = account.overwrite(MARCH, [row("2026-03-01", "1")], [row("2026-03-02", "2")], packed=packed)
    await desk.sync()
    account.overwrite(
        MARCH, [row("2026-03-01", "1.5"), row("2026-03-04", "-0.5", ChargeCategory="Credit")], packed=packed
    )

    assert await desk.sync() == []
    assert desk.months == [MARCH]
    assert desk.costs == costs("8", "1.5", "-0.5")
    assert len(first) == 2


async def test_a_refresh_in_a_folder_of_its_own_takes_the_formers_place(account: Account, desk: ExportDesk) -> None:
    """Of the refreshes that lie side by side the newest counts, and only that."""
    account.create_new(MARCH, "2026-03-02T06:00:00.000Z-1111", [row("2026-03-01", "1")])
    account.create_new(MARCH, "2026-03-03T06:00:00.000Z-2222", [row("2026-03-01", "1")], [row("2026-03-02", "2")])
    await desk.sync()
    assert desk.costs == costs("1", "2")

    account.create_new(MARCH, "2026-03-04T06:00:00.000Z-3333", [row("2026-03-01", "1.25")])
    await desk.sync()
    assert desk.costs == costs("1.25")
    assert desk.months == [MARCH]


async def test_a_line_of_another_month_is_not_lost(account: Account, desk: ExportDesk) -> None:
    """A line that starts before its billing period brings both months into one window, now and later."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "1")])
    account.overwrite(MARCH, [row("2026-03-01", "2"), row("2026-02-27", "-4", ChargeCategory="Credit")])
    await desk.sync()
    assert desk.costs == costs("1", "2", "-4")

    account.overwrite(FEBRUARY, [row("2026-02-01", "1.5")])
    await desk.sync()
    assert desk.months in ([f"{FEBRUARY}..{MARCH}"], [FEBRUARY])
    assert desk.costs == costs("1.5", "2", "-4")


async def test_a_month_that_is_being_written_waits(account: Account, desk: ExportDesk) -> None:
    """Data files that are newer than their manifest belong to a refresh that is not there yet."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "8")])
    (key,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    await desk.sync()
    account.overwrite(FEBRUARY, [row("2026-02-01", "9")])
    account.manifest(f"BILLING_PERIOD={MARCH}", [key, f"{ROOT}/data/BILLING_PERIOD={MARCH}/focus-00002.snappy.parquet"])

    with pytest.raises(RetryLater, match="2026-03 was replaced") as caught:
        await desk.sync()
    assert caught.value.reason == "FileChanged"
    assert desk.costs == costs("9", "1")


async def test_files_newer_than_their_manifest_are_not_read(account: Account, desk: ExportDesk) -> None:
    """What was written after the manifest is of the next refresh."""
    (key,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        export: Export = connector._export
        (delivery,) = await export.newest()
        early = Delivery(delivery.month, delivery.manifest._replace(modified=delivery.delivered - timedelta(minutes=1)))
        assert [each.key for each in await export._deliveries.files(delivery)] == [key]
        with pytest.raises(RetryLater, match="replaced"):
            await export._deliveries.files(early)


async def test_the_same_manifest_written_later_is_another_delivery(account: Account, desk: ExportDesk) -> None:
    """The files of a month may have changed although its manifest says the same to the letter."""
    account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        (delivery,) = await connector._export.newest()
    later = Delivery(delivery.month, delivery.manifest._replace(modified=delivery.delivered + timedelta(hours=8)))
    assert later.stamp != delivery.stamp


async def test_a_file_that_is_replaced_while_it_is_read(
    account: Account, desk: ExportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another content under the same key is told by S3 itself, and the month is not stored."""
    monkeypatch.setattr("reconciler.connectors.focus.delivered.KEPT", 0)
    (key,) = account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        (window,) = await connector.windows([], HISTORY)
        account.put(key, b"something else")
        with pytest.raises(RetryLater, match=r"00001\.snappy\.parquet was replaced") as caught:
            await desk.replace(connector, window)
    assert caught.value.reason == "FileChanged"
    assert desk.stored == []


async def test_months_that_are_deleted_from_the_bucket_stay(account: Account, desk: ExportDesk) -> None:
    """A rule that clears the bucket clears no history."""
    for month in (FEBRUARY, MARCH):
        account.overwrite(month, [row(f"{month}-01", "1")])
    await desk.sync()
    account.delete(f"{ROOT}/metadata/BILLING_PERIOD={FEBRUARY}/focus-Manifest.json")
    account.delete(f"{ROOT}/data/BILLING_PERIOD={FEBRUARY}/focus-00001.snappy.parquet")

    assert await desk.sync() == []
    assert desk.costs == costs("1", "1")


async def test_months_before_the_history_are_not_read(account: Account, desk: ExportDesk) -> None:
    """What lies before spec.history costs nothing, unless it was read already."""
    account.overwrite("2025-12", [row("2025-12-01", "1")])
    account.overwrite(JANUARY, [row("2026-01-01", "2")])
    await desk.sync()
    assert desk.months == [JANUARY]


async def test_copies_that_find_no_room_are_brought_twice(
    account: Account, desk: ExportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound no copy is kept between looking and reading, and none is left behind."""
    account.overwrite(MARCH, [row("2026-03-01", "1")], [row("2026-03-02", "2")])
    monkeypatch.setattr("reconciler.connectors.focus.delivered.KEPT", 0)
    assert await calls(desk) == 1 + 2 + 2 * 2
    assert desk.costs == costs("1", "2")

    async with desk.opened() as connector:
        folder = connector._export._scratch
        desk.memory = {}
        await desk.sync()
        assert list(folder.iterdir()) == []


async def test_check_says_what_there_is(account: Account, desk: ExportDesk) -> None:
    """`check` names the account and when AWS delivered last."""
    account.overwrite(MARCH, [row("2026-03-01", "1")])
    async with desk.opened() as connector:
        found = await connector.check()
    assert found.id == "123456789012"
    assert found.notes[1].startswith("1 months, delivered last at 20")


async def test_nothing_delivered_yet(account: Account, desk: ExportDesk) -> None:
    """A bucket without the export is no export without costs."""
    account.put(f"{ROOT}-other/metadata/BILLING_PERIOD=2026-03/focus-Manifest.json", b"{}")
    with pytest.raises(NeedsPerson, match="24 hours; check bucket, prefix and name") as caught:
        await desk.sync()
    assert caught.value.reason == "NoFiles"


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b'{"dataFiles":"a"}', b'{"dataFiles":[1]}', b"nonsense"])
async def test_manifests_that_name_no_files(manifest: bytes, account: Account, desk: ExportDesk) -> None:
    """A manifest of another shape is an error, and no month without costs."""
    account.put(f"{ROOT}/metadata/BILLING_PERIOD=2026-03/focus-Manifest.json", manifest)
    with pytest.raises(Bug):
        await desk.sync()


async def test_a_damaged_file_fails_its_month_alone(account: Account, desk: ExportDesk) -> None:
    """Other months are stored, and the error names the file."""
    account.overwrite(FEBRUARY, [row("2026-02-01", "1")])
    (key,) = account.overwrite(MARCH, [row("2026-03-01", "2")])
    account.put(key, b"PAR1 and no more")
    account.manifest(f"BILLING_PERIOD={MARCH}", [key])
    (error,) = await desk.sync()
    assert f"{key} cannot be read" in str(error)
    assert desk.costs == costs("1")


async def test_no_such_bucket(moto: str, tmp_path: Path) -> None:
    """moto, as S3, says that there is none."""
    with pytest.raises(NeedsPerson, match=r"correct aws\.export\.bucket") as caught:
        await ExportDesk(tmp_path, url=moto, block={"bucket": "nobodys"}).sync()
    assert caught.value.reason == "NotFound"


@pytest.mark.parametrize(
    ("reply", "kind", "reason", "words"),
    [
        (xml_refusal("AccessDenied", "not authorized to perform: s3:ListBucket"), NeedsPerson, "Forbidden", "policy"),
        (xml_refusal("AuthorizationHeaderMalformed", "expecting x", 400), NeedsPerson, "InvalidSettings", "region"),
        (Reply(301, b"<Error/>", {"Content-Type": "application/xml"}), NeedsPerson, "InvalidSettings", "region"),
        (xml_refusal("SlowDown", "Reduce your rate", 503), RetryLater, "VendorUnavailable", "503"),
        (Reply(body=b"<Other/>"), Bug, "UnexpectedAnswer", "answered a list with Other"),
        (
            Reply(
                body=b"<ListBucketResult><Contents><Key>a</Key><LastModified>x</LastModified></Contents></ListBucketResult>"
            ),
            Bug,
            "UnexpectedAnswer",
            "time that is none",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refusals_say_what_to_do(
    reply: Reply, kind: type[ReconcilerError], reason: str, words: str, tmp_path: Path
) -> None:
    """S3's refusals become words about the policy, the bucket and its region."""
    async with ScriptedServer() as server:
        server.route("GET", "/acme-billing", lambda _: reply)
        with pytest.raises(kind, match=words) as caught:
            await ExportDesk(tmp_path, url=server.url).sync()
    assert caught.value.reason == reason


async def test_lists_are_followed_to_their_end(tmp_path: Path) -> None:
    """A list of several pages is one list; one that leads back to itself ends."""

    def listed(request: Request) -> Reply:
        token = int(request.first("continuation-token") or 0)
        key = f"billing%2Fdaily%2Ffocus%2Fmetadata%2FBILLING_PERIOD%3D2026-0{token + 1}%2Ffocus-Manifest.json"
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token + 1}</NextContinuationToken>"
        return Reply(
            body=f"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><EncodingType>url</EncodingType>"
            f"<Contents><Key>{key}</Key><LastModified>2026-03-20T06:00:00.000Z</LastModified><ETag>&quot;a&quot;</ETag>"
            f"</Contents>{more if token < 2 else ''}</ListBucketResult>".encode()
        )

    async with ScriptedServer() as server:
        server.route("GET", "/acme-billing", listed)
        async with ExportDesk(tmp_path, url=server.url).opened() as connector:
            newest = await connector._export.newest()
            assert [f"{each.month.start:%Y-%m}" for each in newest] == [JANUARY, FEBRUARY, MARCH]
            assert {each.delivered for each in newest} == {datetime(2026, 3, 20, 6, tzinfo=UTC)}
        server.replay()
        with pytest.raises(Bug) as caught:
            await ExportDesk(tmp_path, url=server.url).sync()
    assert caught.value.reason == "CursorLoop"
