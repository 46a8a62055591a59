"""What people are told: messages made of the facts that were written down when a level turned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.alerts.outbox import Waiting
from ledger.money import EXACT
from reconciler.channels.message import Driver, Message, Period

Facts = Mapping[str, Any]

_OVER: Final = {"resolved": "is over", "retracted": "is taken back"}
_WHY: Final = {
    "BelowLimit": "the figures are below the level again",
    "RuleChanged": "the level or the budget was changed",
    "PeriodEnded": "its period is over, and the new one starts clean",
    "LevelRemoved": "the level was removed",
    "AlertRemoved": "the Alert was removed",
    "ProviderGone": "the provider is gone",
    "Restated": "the vendor corrected its figures, and the level would not have been crossed",
    "NoData": "there is no data any more",
}


def message(key: str, facts: Facts) -> Message:
    """The message of the facts in the outbox (ledger.alerts.outbox.Told.document)."""
    figures: Facts = facts["figures"]
    over = facts["what"] != "firing"
    judged = datetime.fromisoformat(facts["judgedAt"])
    period = _period(facts)
    limit = _decimal(figures.get("limit"))
    amount = _decimal(figures.get("projected" if facts["on"] == "Forecast" else "amount"))
    currency = figures.get("currency")
    return Message(
        key=key,
        what=facts["what"],
        namespace=facts["namespace"],
        alert=facts["alert"],
        on=facts["on"],
        level=facts["level"],
        severity=facts["severity"],
        summary=_summary(facts),
        description=_description(facts),
        scope_text=_scope(facts),
        starts_at=datetime.fromisoformat(facts["since"]),
        judged_at=judged,
        ends_at=judged if over else None,
        budget=facts["budget"],
        complete_through=_day(figures.get("completeThrough")),
        period=period,
        amount=amount,
        limit=limit,
        share=None if amount is None or not limit else EXACT.divide(amount, limit).quantize(Decimal("0.0001")),
        currency=currency,
        drivers=tuple(Driver(name, Decimal(cost), currency or "") for name, cost in facts["drivers"].items()),
        labels=_labels(facts),
    )


def test_message(waiting: Waiting, now: datetime) -> Message:
    """What a channel is sent to see whether it works."""
    return Message(
        key=f"{waiting.namespace}/{waiting.channel}/{waiting.key}",
        what="test",
        namespace=waiting.namespace,
        alert="test",
        on="Test",
        level="test",
        severity="info",
        summary=f"Costhook can reach the channel {waiting.channel}",
        description="Somebody asked for this test message. Nothing is wrong, and nothing is to be done.",
        scope_text="nothing",
        starts_at=waiting.created_at,
        judged_at=now,
        labels={"channel": waiting.channel},
    )


def _summary(facts: Facts) -> str:
    name = f"{facts['namespace']}/{facts['alert']}"
    if facts["what"] != "firing":
        return f"{name} {facts['level']} {_OVER[facts['what']]}: {_WHY.get(facts['reason'], facts['reason'])}"
    return f"{name}: {_fact(facts)}"


def _fact(facts: Facts) -> str:
    """What is the case, in one clause."""
    figures = facts["figures"]
    if facts["reason"] == "NoData":
        return "there is no data to judge it by"
    return _FACTS[facts["on"]](facts, figures)


def _spend(facts: Facts, figures: Facts) -> str:
    if "changePercent" in figures:
        return f"{_money(figures['amount'], figures)} is {figures['changePercent']}% more than the period before"
    return f"{_money(figures['amount'], figures)} spent, level {facts['level']}{_of_budget(facts)}"


def _forecast(facts: Facts, figures: Facts) -> str:
    projected = figures["projected"] or figures["amount"]
    return f"{_money(projected, figures)} projected for the period, level {facts['level']}{_of_budget(facts)}"


def _restatement(facts: Facts, figures: Facts) -> str:
    return f"{facts['subject']} changed a past day by {_money(figures['amount'], figures)}"


def _failure(facts: Facts, figures: Facts) -> str:
    return f"syncs of {facts['subject']} fail ({figures['failures']} in a row, {figures['reason'] or 'late'})"


def _missing(facts: Facts, figures: Facts) -> str:
    return f"data of {facts['subject']} is late: whole through {figures['completeThrough'] or 'no day'}"


def _unpriced(facts: Facts, figures: Facts) -> str:
    return f"{figures['lines']} lines of {facts['subject']} have no price"


_FACTS: Final[Mapping[str, Callable[[Facts, Facts], str]]] = {
    "Spend": _spend,
    "Forecast": _forecast,
    "Restatement": _restatement,
    "SyncFailure": _failure,
    "MissingData": _missing,
    "UnpricedLines": _unpriced,
}


def _description(facts: Facts) -> str:
    """A paragraph: what is the case, on which figures, and what most of it goes to."""
    figures = facts["figures"]
    sentences = [f"{_fact(facts)[0].upper()}{_fact(facts)[1:]}."]
    if facts["what"] != "firing":
        why = str(_WHY.get(facts["reason"], facts["reason"]))
        sentences = [f"{why[0].upper()}{why[1:]}."]
        if figures.get("amount") is not None:
            sentences.append(f"Now: {_money(figures['amount'], figures)}.")
    if figures.get("limit") is not None and figures.get("currency"):
        sentences.append(f"The level is {_money(figures['limit'], figures)}.")
    if facts["drivers"] and facts["what"] == "firing":
        most = ", ".join(f"{name} {_money(cost, figures)}" for name, cost in facts["drivers"].items())
        sentences.append(f"Most of it: {most}.")
    if "completeThrough" in figures:
        sentences.append(f"Whole through {figures['completeThrough'] or 'no day yet'}.")
    return " ".join(sentences)


def _of_budget(facts: Facts) -> str:
    if facts["budget"] is None or facts["budgetAmount"] is None:
        return ""
    return f" of {_money(facts['budgetAmount'], facts['figures'])} ({facts['budget']})"


def _scope(facts: Facts) -> str:
    if facts["subject"]:
        return f"the provider {facts['subject']}"
    return f"the budget {facts['budget']}" if facts["budget"] else f"the namespace {facts['namespace']}"


def _labels(facts: Facts) -> dict[str, str]:
    """Labels that tell two alerts of one Alert apart; the same when it fires and when it ends."""
    labels = {"provider": facts["subject"]} if facts["subject"] else {}
    return labels | ({"period": facts["period"][0]} if facts["period"] else {})


def _period(facts: Facts) -> Period | None:
    if facts["period"] is None:
        return None
    first, after_last = (date.fromisoformat(day) for day in facts["period"])
    return Period(first, after_last)


def _money(text: str, figures: Facts) -> str:
    """An amount as people read it: with thousands apart, cents at least, and its currency."""
    amount = Decimal(text)
    places = max(2, -int(amount.as_tuple().exponent)) if amount != amount.quantize(Decimal("0.01")) else 2
    return f"{amount:,.{min(places, 6)}f} {figures.get('currency') or ''}".strip()


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
