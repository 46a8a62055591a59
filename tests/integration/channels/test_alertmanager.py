"""The channel to Alertmanager, against the real program: fire, group, resolve, retract, restart, replicas, routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.channels.alertmanager import LIFETIME, RESEND
from reconciler.channels.base import Receipt
from reconciler.channels.message import Message
from reconciler.errors import NeedsPerson, RetryLater
from tests.integration.channels.alertmanager_process import NEEDED, Alertmanager, alertmanager, amtool, eventually
from tests.integration.channels.talk import deliver, refused
from tests.unit.channels.messages import message

pytestmark = NEEDED

ROUTES = Path(__file__).parents[3] / "docs/channels/alertmanager.yml"
PASSWORD = "p4ssw0rd-0123456789"
BCRYPT = "$2b$04$af/lgZ4Q4MrJo/wrOCpTEeoBUDbe2e3wwJrOnJVzzodGNj1Sn9Afa"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    async with alertmanager(tmp_path) as found:
        yield found


def now() -> datetime:
    """The moment by the clock that Alertmanager looks at."""
    return datetime.now(UTC)


BEGAN = now() - timedelta(minutes=5)


def firing(**fields: Any) -> Message:
    return message(starts_at=BEGAN, **fields)


def over(what: str = "resolved", **fields: Any) -> Message:
    return message(what=what, starts_at=BEGAN, ends_at=now(), key="k-over", **fields)


async def tell(to: Alertmanager, *messages: Message, **named: Any) -> Receipt:
    return await deliver("alertmanager", messages, named.pop("secret", {}), {"url": to.url}, now=now(), **named)


async def test_an_alert_fires_and_resolves(here: Alertmanager) -> None:
    """The alert has the promised labels and annotations; what ends it has the same fingerprint."""
    await tell(here, firing())
    (fired,) = await eventually(lambda: here.told("firing"))
    await tell(here, over())
    (ended,) = await eventually(lambda: here.told("resolved"))

    assert fired["labels"] == {
        "source": "costhook",
        "alertname": "ai-budget",
        "namespace": "team-a",
        "severity": "warning",
        "budget": "ai",
        "level": "90%",
        "on": "Spend",
        "environment": "production",
    }
    assert fired["annotations"]["summary"] == "ai has spent 90.2% of its budget"
    assert fired["annotations"]["description"].startswith("Between 2026-03-01")
    assert fired["generatorURL"] == firing().link
    assert ended["fingerprint"] == fired["fingerprint"]
    assert datetime.fromisoformat(fired["startsAt"]) == BEGAN
    assert await here.alerts() == []


async def test_an_alert_outlives_a_restart_of_ours(here: Alertmanager) -> None:
    """An alert that is not sent again fires on for longer than Costhook takes to restart, and not for ever."""
    await tell(here, firing())
    (alert,) = await here.alerts()

    assert now() + LIFETIME - timedelta(minutes=1) < datetime.fromisoformat(alert["endsAt"]) <= now() + LIFETIME
    assert LIFETIME >= 4 * RESEND


async def test_a_team_s_alerts_come_together(here: Alertmanager) -> None:
    """Levels that are crossed at once are one notification of one group."""
    await tell(here, firing(), firing(level="100%", severity="critical", key="k2"))
    await eventually(lambda: here.told("firing"))

    assert [len(body["alerts"]) for body in here.notified] == [2]
    assert here.notified[0]["groupLabels"] == {"namespace": "team-a"}


async def test_a_retraction_resolves_and_says_so(here: Alertmanager) -> None:
    """Alertmanager knows no retractions: the alert resolves, and an annotation tells why."""
    await tell(here, firing())
    await eventually(lambda: here.told("firing"))
    await tell(here, over("retracted"))
    (ended,) = await eventually(lambda: here.told("resolved"))

    assert ended["annotations"]["retracted"] == "true"


async def test_telling_twice_notifies_once(here: Alertmanager) -> None:
    """A message that is sent again changes nothing: one alert, and one notification of it."""
    await tell(here, firing())
    await eventually(lambda: here.told("firing"))
    for _ in range(3):
        await tell(here, firing())
    await tell(here, over())
    await eventually(lambda: here.told("resolved"))

    assert len(here.told("firing")) == 1


async def test_a_restarted_alertmanager_is_told_again(here: Alertmanager) -> None:
    """It has forgotten every alert; sending again brings it back under the same fingerprint, and it resolves."""
    await tell(here, firing())
    (fired,) = await eventually(lambda: here.told("firing"))
    await here.stop()
    error = await refused("alertmanager", [firing()], {}, {"url": here.url})
    await here.start()

    assert isinstance(error, RetryLater)
    assert await here.alerts() == []
    await tell(here, firing())
    assert [alert["fingerprint"] for alert in await here.alerts()] == [fired["fingerprint"]]
    await tell(here, over())
    (ended,) = await eventually(lambda: here.told("resolved"))
    assert ended["fingerprint"] == fired["fingerprint"]


async def test_every_replica_is_told_and_one_is_enough(here: Alertmanager, tmp_path: Path) -> None:
    """All replicas take the alert; with one of them down it counts as delivered, with all of them down it does not."""
    (tmp_path / "second").mkdir()
    async with alertmanager(tmp_path / "second") as second:
        block = {"urls": [f"{here.url}/", second.url]}
        both = await deliver("alertmanager", [firing()], {}, block, now=now())
        assert len(await here.alerts()) == len(await second.alerts()) == 1
        await second.stop()
        one = await deliver("alertmanager", [over()], {}, block, now=now())
        await here.stop()
        none = await refused("alertmanager", [over()], {}, block, now=now())

    assert both.text == "taken by 2 of 2"
    assert one.text.startswith("taken by 1 of 2; Alertmanager: POST ")
    assert isinstance(none, RetryLater)


async def test_a_password_is_asked_for(tmp_path: Path) -> None:
    """With basic authentication the right password is taken, and a wrong or missing one needs a person."""
    web = f"basic_auth_users: {{costs: '{BCRYPT}'}}"
    async with alertmanager(tmp_path, web=web, auth=("costs", PASSWORD)) as guarded:
        right = await tell(guarded, firing(), secret={"username": "costs", "password": PASSWORD})
        wrong = await refused(
            "alertmanager", [firing()], {"username": "costs", "password": "wrong-123"}, {"url": guarded.url}
        )
        missing = await refused("alertmanager", [firing()], {}, {"url": guarded.url})

    assert right.text == "taken by 1 of 1"
    assert [type(wrong).__mro__[1], missing.reason] == [NeedsPerson, "Unauthorized"]
    assert "wrong-123" not in str(wrong)


async def test_labels_are_such_as_it_takes(here: Alertmanager) -> None:
    """Labels of resources have names that Alertmanager does not know; none of them keeps an alert from it."""
    odd = {"app.kubernetes.io/name": "x", "1st": "y", "empty": "", "ключ": "z", "namespace": "another"}
    await tell(here, firing(labels=odd, budget=None, level="500.00 USD", summary="❄ <b>\n"))
    (alert,) = await here.alerts()

    assert alert["labels"]["app_kubernetes_io_name"] == "x"
    assert alert["labels"]["namespace"] == "team-a"
    assert "budget" not in alert["labels"]


async def test_a_test_ends_by_itself(here: Alertmanager) -> None:
    """A test message is an alert that is over within a minute, without being resolved."""
    await tell(here, message(what="test", alert="test", starts_at=now()))
    (alert,) = await here.alerts()

    assert datetime.fromisoformat(alert["endsAt"]) <= now() + timedelta(minutes=1)


async def test_what_it_cannot_take_needs_a_person(here: Alertmanager) -> None:
    """An address that is none of its API's says so."""
    error = await refused("alertmanager", [firing()], {}, {"url": f"{here.url}/elsewhere"})

    assert error.reason == "ReceiverGone"


async def test_the_routes_of_the_guide_are_sound() -> None:
    """Alertmanager's own tool finds no fault in the configuration that the guide shows."""
    code, said = await amtool("check-config", str(ROUTES))

    assert code == 0, said


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("source=costhook namespace=team-a severity=critical", "team-a-pager,team-a-chat"),
        ("source=costhook namespace=team-a severity=info", "team-a-chat"),
        ("source=costhook namespace=team-b severity=warning", "team-b-chat"),
        ("source=costhook namespace=team-b severity=info", "finance"),
        ("source=costhook namespace=team-c severity=critical", "finance"),
        ("namespace=team-a severity=critical", "platform"),
    ],
)
async def test_the_routes_of_the_guide_lead_where_it_says(labels: str, receivers: str) -> None:
    """Each team hears of its own namespace, and of what is grave on the pager too."""
    told = f"--verify.receivers={receivers}"
    code, said = await amtool("config", "routes", "test", f"--config.file={ROUTES}", told, *labels.split())

    assert code == 0, said
