"""Options that commands share, and how days and times are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer


def day(text: str) -> date:
    """A day; a month stands for its first day."""
    try:
        return date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        raise typer.BadParameter("write a day as 2026-11-30, or a month as 2026-11 for its first day") from None


def moment(text: str) -> datetime:
    """A time, in UTC unless it says otherwise."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a time as 2026-11-30T08:00Z; a day alone means its midnight, UTC") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def until(text: str) -> timedelta:
    """A length of time in hours or days: 12h, 90d."""
    match = re.fullmatch(r"([1-9]\d{0,4})([hd])", text)
    if match is None:
        raise typer.BadParameter("write a length of time as 90d (days) or 12h (hours)")
    return timedelta(**{"hours" if match[2] == "h" else "days": int(match[1])})


Folder = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Folder of manifests")]
StateDir = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="Folder of the state; .costhook if absent")
]
Url = Annotated[
    str | None, typer.Option("--database-url", metavar="URL", help="A Postgres instead of the embedded one")
]
Listen = Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where the API listens")]
Authentication = Annotated[
    bool | None, typer.Option("--authentication", help="Ask every caller of the API who they are")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; amounts are exact, as text")]

FIRST = "First day (UTC); a month means its first day"
AFTER_LAST = "First day that is not part of it any more"
From = Annotated[date | None, typer.Option("--from", metavar="DAY", parser=day, help=FIRST)]
To = Annotated[date | None, typer.Option("--to", metavar="DAY", parser=day, help=AFTER_LAST)]
FromNeeded = Annotated[date, typer.Option("--from", metavar="DAY", parser=day, help=FIRST)]
ToNeeded = Annotated[date, typer.Option("--to", metavar="DAY", parser=day, help=AFTER_LAST)]
AsOf = Annotated[datetime | None, typer.Option(metavar="TIME", parser=moment, help="As it was believed at this time")]

Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Its namespace, where several have the name")]
Namespaces = Annotated[list[str] | None, typer.Option("--namespace", "-n", help="Only this one; may be repeated")]
Providers = Annotated[list[str] | None, typer.Option("--provider", help="Only this one; may be repeated")]
