"""The Grafana dashboards of the chart, as files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from charts.dashboards.files import FOLDER, documents
from tests import grafana

QUESTIONS = list(grafana.questions())
OF_ONE_POD = ("costhook_queue", "costhook_reconcile", "costhook_watch", "costhook_kubernetes")
"""What only the reconciler's own process tells; everything else each pod of the API tells alike."""


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.stem)
def test_what_is_made_is_up_to_date(path: Path) -> None:
    """Each dashboard is as `make dashboards` writes it now."""
    assert path.read_text() == documents()[path]


def test_no_dashboard_is_left_over() -> None:
    """There is no file that nothing makes any more."""
    assert set(FOLDER.iterdir()) == set(documents())


@pytest.mark.parametrize("path", grafana.BOARDS, ids=lambda path: path.stem)
def test_links_to_panels_stay_good(path: Path) -> None:
    """Panels have numbers and titles of their own, and dashboards names under which Grafana keeps them."""
    board = json.loads(path.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert board["uid"] == f"costhook-{path.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["targets"] for panel in panels)


def test_figures_of_several_pods_count_once() -> None:
    """Whatever the API tells is taken once before it is added up, so that two pods do not double what is spent."""
    once = re.compile(r"max(?: by \([^)]*\) )? ?\((costhook_\w+)")
    for question in QUESTIONS:
        if not question.is_sql and not any(name in question.text for name in OF_ONE_POD):
            assert re.findall(r"costhook_\w+", question.text) == once.findall(question.text), question


def test_currencies_are_never_added_up() -> None:
    """Every query about amounts is about one currency, or tells them apart."""
    apart = ('currency="$currency"', "${currency:sqlstring}", "by (currency)", "currency) (costhook_budget")
    about = [each for each in QUESTIONS if re.search(r"_spend_|_budget_(amount|spent|proj)|_cost\b|_amount", each.text)]

    assert len(about) > 10
    assert [str(each) for each in about if not any(sign in each.text for sign in apart)] == []
