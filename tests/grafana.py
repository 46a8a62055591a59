"""Grafana's part in tests: the dashboards that ship, variables as Grafana fills them in, and the documented login."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

ROOT: Final = Path(__file__).parents[1]
BOARDS: Final = sorted((ROOT / "charts" / "costhook" / "files" / "dashboards").glob("*.json"))
EVERY_ROW: Final = "$a$ true $a$"
_AGO: Final = re.compile(r"now-(\d+)([hd])")
_LABELS: Final = re.compile(r"label_values\((.+), *(\w+)\)")


@dataclass(frozen=True)
class Question:
    """A query of a panel: an expression for Prometheus, or a statement for the ledger."""

    board: str
    panel: str
    target: Mapping[str, Any]
    period: timedelta
    """How much time the dashboard shows when it is opened."""

    @property
    def is_sql(self) -> bool:
        return "rawSql" in self.target

    @property
    def text(self) -> str:
        return str(self.target["rawSql" if self.is_sql else "expr"])

    def __str__(self) -> str:
        return f"{self.board} / {self.panel}: {self.text}"


def questions() -> Iterator[Question]:
    """Every query of every panel."""
    for path in BOARDS:
        board = json.loads(path.read_text())
        found = _AGO.fullmatch(board["time"]["from"])
        assert found is not None
        period = timedelta(**{"hours" if found[2] == "h" else "days": int(found[1])})
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Question(path.stem, panel["title"], target, period)


def label_queries() -> set[tuple[str, str]]:
    """Series and label of every variable that is a list of a label's values."""
    found = set()
    for path in BOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                asked = _LABELS.fullmatch(variable["query"])
                assert asked is not None
                found.add((asked[1], asked[2]))
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with Grafana's variables filled in. Values of `regex` are written as they would be: `(a|b)`."""
    for name, value in values.items():
        quoted = "'" + value.replace("'", "''") + "'"
        text = text.replace(f"${{{name}:sqlstring}}", quoted).replace(f"${{{name}:regex}}", value)
        text = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), text)
    return text.replace("$__rate_interval", "5m")


def timed(sql: str, start: datetime, end: datetime) -> str:
    """The statement with the macros of Grafana's Postgres data source written out."""
    first, last = (f"'{moment:%Y-%m-%dT%H:%M:%SZ}'" for moment in (start, end))
    sql = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 BETWEEN {first} AND {last}", sql)
    return sql.replace("$__timeFrom()", first).replace("$__timeTo()", last)


def login(name: str, seen: str = EVERY_ROW) -> str:
    """The SQL of docs/operations.md that makes a login for Grafana, under another name and with these rows."""
    page = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(r"```sql\n(create role grafana .*?)```", page, re.DOTALL)
    assert found is not None
    assert EVERY_ROW in found[1]
    return re.sub(r"\bgrafana\b", name, found[1].replace(EVERY_ROW, seen))


def as_login(url: str, name: str) -> str:
    """The URL of the same database for another login."""
    return make_url(url).set(username=name, password="PASSWORD").render_as_string(hide_password=False)
