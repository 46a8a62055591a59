"""What a Channel's spec may say, and how a wrong one is answered."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from reconciler.channels.alertmanager import AlertmanagerSettings
from reconciler.channels.base import Settings
from reconciler.channels.registry import CHANNELS
from reconciler.kinds.channel import ChannelSpec, ChannelType, channel_spec, settings_of
from reconciler.kinds.shape import dotted, faults, load

SLACK = {"type": "slack", "secretRef": {"name": "chat"}}
MAIL = {"from": "Costhook <costs@example.com>", "to": ["ops@example.com"], "smtp": {"host": "mail.example.com"}}


def spec(fields: dict[str, Any]) -> ChannelSpec:
    return load(channel_spec(), fields)


def told(fields: dict[str, Any]) -> dict[str, str]:
    """The first message by path."""
    return {dotted(fault.path): fault.message for fault in reversed(faults(channel_spec(), fields))}


def test_every_field_is_read() -> None:
    """Limits, hours, digest and severity arrive in the model with their lengths and zones."""
    found = spec(
        {
            **SLACK,
            "minimumSeverity": "warning",
            "rateLimit": {"messages": 20, "per": "10m"},
            "quietHours": {"start": "22:00", "end": "07:30", "timeZone": "Europe/Berlin", "except": "warning"},
            "digest": {"wait": "30s", "most": 10},
            "suspend": True,
        }
    )

    assert found.rate_limit is not None
    assert found.quiet_hours is not None
    assert found.digest is not None
    assert (found.rate_limit.messages, found.rate_limit.per) == (20, timedelta(minutes=10))
    assert (found.quiet_hours.start, found.quiet_hours.end) == (time(22), time(7, 30))
    assert (found.quiet_hours.zone, found.quiet_hours.allow) == (ZoneInfo("Europe/Berlin"), "warning")
    assert (found.digest.wait, found.digest.most, found.suspend) == (timedelta(seconds=30), 10, True)


def test_a_channel_tells_everything_unless_it_says_otherwise() -> None:
    """The defaults hold nothing back."""
    found = spec(SLACK)

    assert (found.minimum_severity, found.suspend) == ("info", False)
    assert (found.rate_limit, found.quiet_hours, found.digest) == (None, None, None)


def test_severities_have_an_order() -> None:
    """A channel for warnings hears of warnings and of what is critical."""
    found = spec({**SLACK, "minimumSeverity": "warning"})

    assert [severity for severity in ("info", "warning", "critical") if found.wants(severity)] == [
        "warning",
        "critical",
    ]


def test_every_type_can_be_declared() -> None:
    """The types of the spec are those that there are."""
    assert set(get_args(ChannelType)) == CHANNELS.keys()


def test_each_type_reads_its_own_block() -> None:
    """The block named after the type is what the channel is given; types without settings are given none."""
    found = settings_of(spec({"type": "alertmanager", "alertmanager": {"url": "http://alertmanager:9093"}}))

    assert isinstance(found, AlertmanagerSettings)
    assert found.addresses == ["http://alertmanager:9093"]
    assert type(settings_of(spec(SLACK))) is Settings


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"type": "pigeon"}, "type", None),
        ({"type": "slack"}, "secretRef", "name the v1 Secret that holds it in its key url"),
        ({"type": "alertmanager"}, "alertmanager", "type alertmanager needs it, with url or urls"),
        ({"type": "alertmanager", "alertmanager": {}}, "alertmanager.url", "give url, or urls"),
        (
            {"type": "alertmanager", "alertmanager": {"url": "http://a", "urls": ["http://b"]}},
            "alertmanager.url",
            "give url, or urls",
        ),
        ({**SLACK, "alertmanager": {"url": "http://a"}}, "alertmanager", "settings of type alertmanager"),
        ({"type": "email"}, "email", "type email needs it, with from, to"),
        ({"type": "email", "email": {**MAIL, "to": []}}, "email.to", "too few"),
        ({"type": "email", "email": {**MAIL, "from": "costs"}}, "email.from", "not a mail address"),
        ({"type": "email", "email": {**MAIL, "to": ["a@b.c\nBcc: x@y.z"]}}, "email.to[0]", "not a mail address"),
        ({"type": "email", "email": {**MAIL, "via": "ses"}}, "email.ses", "via ses needs it, with region"),
        ({"type": "email", "email": {**MAIL, "via": "mailgun"}}, "email.mailgun", "via mailgun needs it"),
        ({**SLACK, "rateLimit": {"messages": 0}}, "rateLimit.messages", "write 1 or more"),
        ({**SLACK, "rateLimit": {"messages": 1, "per": "2d"}}, "rateLimit.per", "out of range; write 1s to 1d"),
        ({**SLACK, "digest": {"wait": "0s"}}, "digest.wait", "out of range; write 1s to 1d"),
        ({**SLACK, "quietHours": {"start": "22:00", "end": "22:00"}}, "quietHours.end", "the same as start"),
        ({**SLACK, "quietHours": {"start": "24:00", "end": "07:00"}}, "quietHours.start", "is not a time of day"),
        ({**SLACK, "quietHours": {"start": 2200, "end": "07:00"}}, "quietHours.start", "write it in quotes"),
        (
            {**SLACK, "quietHours": {"start": "22:00", "end": "07:00", "timeZone": "Europe/Berlon"}},
            "quietHours.timeZone",
            '"Europe/Berlon" is no time zone; write an IANA name, like Europe/Berlin',
        ),
    ],
)
def test_each_mistake_is_answered_with_what_to_do(fields: dict[str, Any], path: str, message: str | None) -> None:
    """The message stands at the field, and says how to write it."""
    wrong = told(fields)

    assert path in wrong
    assert message is None or message in wrong[path]
