"""Where the columns of a file go, whatever version of FOCUS it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import pytest

from ledger.focus import columns
from reconciler.connectors.focus.columns import NEEDED, Layout, NotFocus, layout

FEW = ["BilledCost", "BillingCurrency", "ChargePeriodEnd", "ChargePeriodStart"]


def places(found: Layout) -> list[int]:
    """The places of all columns that the layout reads."""
    single = [found.start, found.end, found.currency, found.category, found.service, found.tags]
    feeds = [feed for feed in single if feed is not None]
    return sorted({feed.place for feed in [*feeds, *found.providers, *found.fields.values(), *found.extra.values()]})


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_every_column_of_every_version_is_read(version: str) -> None:
    """No column of any version is left out."""
    names = [column.name for column in columns(version)]
    assert places(layout(names, UTC)) == list(range(len(names)))


@pytest.mark.parametrize("changed", [str.lower, str.upper, lambda name: f" {name} "])
def test_names_in_any_case(changed: object) -> None:
    """Engines that fold the case of names do not keep a file from being read."""
    assert callable(changed)
    names = [column.name for column in columns("1.3")]
    plain, folded = layout(names, UTC), layout([changed(name) for name in names], UTC)
    assert folded.fields.keys() == plain.fields.keys()
    assert folded.extra.keys() == plain.extra.keys()


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["Id"], {"x_Id": 4}),
        (["x_Discounts"], {"x_Discounts": 4}),
        (["Id", "x_Id"], {"x_x_Id": 4, "x_Id": 5}),
        (["Id", "Id"], {"x_x_Id": 4, "x_Id": 5}),
        (["", " "], {"x_column5": 4, "x_column6": 5}),
        (["x_model", "x_token_type", "x_origin"], {"x_origin": 6}),
        (["ProviderName"], {}),
        (["ProviderName", "ServiceProviderName"], {"ProviderName": 4}),
        (["PublisherName", "RegionName"], {"PublisherName": 4, "RegionName": 5}),
    ],
)
def test_what_has_no_field_is_kept(names: Sequence[str], kept: dict[str, int]) -> None:
    """Every column without a field has a key of its own in `extra`: FOCUS's its name, others' one with x_."""
    found = layout([*FEW, *names], UTC).extra
    if names == ["Id", "Id"]:
        assert sorted(feed.place for feed in found.values()) == [4, 5]
        assert all(key.startswith("x_") for key in found)
    else:
        assert {key: feed.place for key, feed in found.items()} == kept


def test_own_columns_have_fields() -> None:
    """What Costhook's own files say of models and tokens comes back to where it was."""
    fields = layout([*FEW, "x_model", "x_token_type", "x_origin"], UTC).fields
    assert fields["x_model"].place == 4
    assert fields["x_token_type"].place == 5
    assert "x_origin" not in fields


@pytest.mark.parametrize("missing", NEEDED)
def test_what_no_focus_file_lacks(missing: str) -> None:
    """Without cost, currency or period there is nothing to read, and the error names what is missing."""
    with pytest.raises(NotFocus, match=f"has no column {missing}"):
        layout([name for name in FEW if name != missing], UTC)


def test_the_same_column_twice() -> None:
    """Two columns of one name leave no way to tell which counts."""
    with pytest.raises(NotFocus, match="has the column BilledCost twice"):
        layout([*FEW, "billedcost"], UTC)
