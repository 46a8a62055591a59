"""The dashboards as the files that the chart ships."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from charts.dashboards import alerts, calls, spend, syncs

FOLDER: Final = Path(__file__).parents[1] / "costhook" / "files" / "dashboards"
BOARDS: Final = {"alerts": alerts.build, "calls": calls.build, "spend": spend.build, "syncs": syncs.build}


def documents() -> Mapping[Path, str]:
    """Every file that is made, and what is in it."""
    return {FOLDER / f"{name}.json": _text(build()) for name, build in BOARDS.items()}


def write() -> None:
    """Write the files, and remove those of dashboards that are no more."""
    made = documents()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in set(FOLDER.glob("*")) - set(made):
        stale.unlink()
    for path, text in made.items():
        path.write_text(text)


def _text(board: Dashboard) -> str:
    """The dashboard as Grafana reads it, its panels numbered, so that links to a panel stay good."""
    made = board.build()
    for number, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number
    return JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False).encode(made) + "\n"
