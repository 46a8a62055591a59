"""What is told of costs that two Providers count."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger.standing import Double, Standing
from reconciler.doubles import MEND, remarks
from reconciler.status import MAX_MESSAGE

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = Double("export", removed=False, vendor="AWS", count=1, accounts=["1"])


def standing(*doubles: Double) -> Standing:
    return Standing("Succeeded", None, None, AT, AT, None, None, False, {}, 0, False, doubles)


@pytest.mark.parametrize(
    ("double", "said"),
    [
        (ONE, "AWS account 1 is counted by the Provider export, too."),
        (
            Double("export", removed=True, vendor="AWS", count=5, accounts=["1", "2", "3"]),
            "AWS accounts 1, 2, 3 and 2 more are counted by the Provider export (deleted; its charges were kept), too.",
        ),
        (
            Double(None, removed=True, vendor="AWS", count=2, accounts=["1", "2"]),
            "AWS accounts 1, 2 are counted by a Provider of another namespace, too.",
        ),
    ],
    ids=["one", "several", "elsewhere"],
)
def test_it_is_told_in_words(double: Double, said: str) -> None:
    """Which accounts, by whom, and what to do."""
    [remark] = remarks(standing(double))
    assert remark.message == f"{said} {MEND}"


def test_what_to_do_is_never_cut_off() -> None:
    """However many others there are; and nothing is told where there are none."""
    [remark] = remarks(standing(*[ONE] * 99))
    assert remark.message.endswith(MEND)
    assert len(remark.message) <= MAX_MESSAGE
    assert remarks(standing()) == remarks(None) == []
