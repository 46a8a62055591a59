"""A message in words: a subject, plain text, Markdown and HTML; one message as it is, several as a digest.

Amounts are shown to the smallest coin of their currency, with their exact digits where that would show nothing;
the exact ones are in the JSON form. What vendors and manifests named is escaped wherever it could be markup.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from html import escape
from typing import Final

from ledger.money import EXACT, minor_digits, plain
from reconciler.channels.message import Message, What

SUBJECT: Final = 200
"""Characters of a subject; mail clients show fewer, and some services take no more."""

Fact = tuple[str, str]

STATES: Final[dict[What, str]] = {
    "firing": "Firing",
    "resolved": "Resolved",
    "retracted": "Retracted",
    "test": "Test",
}
MARKS: Final = {"info": "🔵", "warning": "🟠", "critical": "🔴"}
"""How grave it is while it fires."""
OVER: Final[dict[What, str]] = {"resolved": "🟢", "retracted": "⚪", "test": "🔔"}


def subject(messages: Sequence[Message]) -> str:
    """One line for all of them, without line breaks."""
    if len(messages) == 1:
        return cut(one_line(f"{STATES[messages[0].what]}: {messages[0].summary}"), SUBJECT)
    counts = Counter(message.what for message in messages)
    told = ", ".join(f"{counts[what]} {state.lower()}" for what, state in STATES.items() if counts[what])
    return f"{len(messages)} alerts: {told}"


def text(messages: Sequence[Message]) -> str:
    """Plain text below the subject."""
    if len(messages) > 1:
        return "\n".join(digest_lines(messages, str))
    message = messages[0]
    parts = [message.description, _listed(f"{name}: {value}" for name, value in facts(message))]
    if message.drivers:
        parts.append("Most of it:\n" + _listed(f"- {name}: {value}" for name, value in drivers(message)))
    return "\n\n".join([*parts, *([message.link] if message.link else [])])


def markdown(messages: Sequence[Message]) -> str:
    """CommonMark below the subject."""
    if len(messages) > 1:
        return "\n".join(f"- {line}" for line in digest_lines(messages, escape_markdown))
    message = messages[0]
    esc = escape_markdown
    parts = [esc(message.description), _listed(f"- **{esc(name)}**: {esc(value)}" for name, value in facts(message))]
    if message.drivers:
        parts.append("Most of it:\n\n" + _listed(f"- {esc(name)}: {esc(value)}" for name, value in drivers(message)))
    return "\n\n".join([*parts, *([f"<{message.link}>"] if message.link else [])])


def html(messages: Sequence[Message]) -> str:
    """HTML below the subject, without styles, scripts or pictures."""
    if len(messages) > 1:
        return f"<ul>{''.join(f'<li>{line}</li>' for line in digest_lines(messages, escape))}</ul>"
    message = messages[0]
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts(message))
    items = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in drivers(message))
    most = f"<p>Most of it:</p><ul>{items}</ul>" if items else ""
    link = f'<p><a href="{escape(message.link)}">{escape(message.link)}</a></p>' if message.link else ""
    return f"<p>{escape(message.description)}</p><table>{rows}</table>{most}{link}"


def facts(message: Message) -> list[Fact]:
    """What it was judged on, by name, as far as it is known."""
    period = message.period
    known = (
        ("Amount", _amount(message)),
        ("Limit", money(message.limit, message.currency) if message.limit is not None else None),
        ("Period", f"{period.start} to {period.end - timedelta(days=1)} (UTC)" if period else None),
        ("Complete through", str(message.complete_through) if message.complete_through else None),
        ("Scope", message.scope_text.strip() or None),
        ("Severity", message.severity),
        ("Alert", f"{message.namespace}/{message.alert}, {message.on} {message.level}".strip()),
        ("Budget", message.budget),
    )
    return [(name, value) for name, value in known if value is not None]


def drivers(message: Message) -> list[Fact]:
    """What most of the amount goes to, by name."""
    return [(driver.name, money(driver.amount, driver.currency)) for driver in message.drivers]


def digest_lines(messages: Sequence[Message], escaped: Callable[[str], str]) -> Iterator[str]:
    """A line for each message."""
    for message in messages:
        line = f"{STATES[message.what]} ({message.severity}), {message.namespace}/{message.alert}: {message.summary}"
        yield escaped(one_line(line))


def mark(messages: Sequence[Message]) -> str:
    """A sign for how they stand: the gravest that fires, or what else the first is."""
    firing = {message.severity for message in messages if message.what == "firing"}
    gravest = next((severity for severity in ("critical", "warning", "info") if severity in firing), None)
    return MARKS[gravest] if gravest else OVER[messages[0].what]


def money(amount: Decimal, currency: str | None) -> str:
    """`1,234.50 USD`: to the currency's smallest coin, or exactly where that would be nothing."""
    coin = Decimal(1).scaleb(-minor_digits(currency)) if currency else None
    with localcontext(EXACT):
        rounded = amount.quantize(coin, ROUND_HALF_EVEN) if coin is not None else amount
    shown = f"{rounded:,f}" if rounded or not amount else plain(amount)
    return f"{shown} {currency}" if currency else shown


def percent(share: Decimal) -> str:
    """`90.2%`."""
    with localcontext(EXACT):
        return f"{plain((share * 100).quantize(Decimal('0.1'), ROUND_HALF_EVEN))}%"


def cut(whole: str, most: int) -> str:
    """`whole` in at most `most` units of UTF-16, which is how most receivers count; a mark shows what was cut."""
    if units(whole) <= most:
        return whole
    head = whole.encode("utf-16-le", errors="replace")[: 2 * (most - 1)].decode("utf-16-le", errors="ignore")
    return head.rstrip() + "…"


def units(whole: str) -> int:
    """Length in units of UTF-16."""
    return len(whole.encode("utf-16-le", errors="replace")) // 2


def fitted(lines: Sequence[str], most: int) -> str:
    """As many whole lines as fit into `most` units; the last one says how many are left out."""
    room = most - len("\n… and 1000 more")
    kept: list[str] = []
    for line in (cut(line, 300) for line in lines):
        if units(line) + 1 > room:
            return "\n".join([*kept, f"… and {len(lines) - len(kept)} more"])
        room -= units(line) + 1
        kept.append(line)
    return "\n".join(kept)


def one_line(whole: str) -> str:
    """`whole` with every run of white space as one space, and no control characters."""
    return re.sub(r"[\x00-\x1f\x7f]", "", " ".join(whole.split()))


def escape_markdown(whole: str) -> str:
    """`whole` as CommonMark shows it literally."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", whole)


def _amount(message: Message) -> str | None:
    if message.amount is None:
        return None
    share = f" ({percent(message.share)} of the limit)" if message.share is not None else ""
    return money(message.amount, message.currency) + share


def _listed(lines: Iterator[str]) -> str:
    return "\n".join(lines)
