"""What a plan includes: usage up to an allowance is free, and only what is beyond it is charged for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

Figure = tuple[datetime, Fraction]
"""When something was used, and how much of it."""


def beyond(used: Sequence[Figure], allowance: Fraction) -> list[Fraction]:
    """How much of each figure is beyond `allowance`, which is used up in the order of time.

    Figures of one moment share what the moment has beyond it by their parts. `used` is one allowance period whole, and
    in any order.
    """
    moments: dict[datetime, list[int]] = defaultdict(list)
    for place, (moment, _) in enumerate(used):
        moments[moment].append(place)
    parts, left = [Fraction(0)] * len(used), allowance
    for moment in sorted(moments):
        total = sum((used[place][1] for place in moments[moment]), Fraction(0))
        share = max(Fraction(0), total - left) / total if total > 0 else Fraction(1)
        left = max(Fraction(0), left - total)
        for place in moments[moment]:
            parts[place] = used[place][1] * share
    return parts
