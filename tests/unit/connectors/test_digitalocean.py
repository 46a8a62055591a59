"""DigitalOcean: its pages and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.connectors.digitalocean import DigitalOceanSettings
from reconciler.connectors.digitalocean.report import Insights, Invoices


@pytest.mark.parametrize(
    ("links", "following"),
    [
        (None, None),
        ({}, None),
        ({"pages": None}, None),
        ({"pages": {"prev": "https://x.example/?page=1"}}, None),
        ({"pages": {"next": ""}}, None),
        ({"pages": {"next": "https://x.example/v2?per_page=2&page=12"}}, 12),
    ],
)
def test_the_next_page_is_the_one_that_is_linked(links: Any, following: int | None) -> None:
    """The next page is the number in its link, and there is none without a link."""
    assert Invoices.model_validate({"invoices": [], "links": links}).following == following


@pytest.mark.parametrize(("current", "total", "following"), [(1, 0, None), (1, 1, None), (1, 2, 2), (2, 2, None)])
def test_insights_count_their_pages(current: int, total: int, following: int | None) -> None:
    """Insights say which page of how many they are."""
    page = {"data_points": [], "current_page": current, "total_pages": total}
    assert Insights.model_validate(page).following == following


@pytest.mark.parametrize(
    "block", [{"baseURL": "ftp://x"}, {"teamURN": "team:1"}, {"teamURN": "do:team:"}, {"invoice": "x"}]
)
def test_settings_have_bounds(block: Mapping[str, Any]) -> None:
    """Settings beyond their bounds and unknown ones are refused."""
    with pytest.raises(ValidationError):
        DigitalOceanSettings.model_validate(block)
