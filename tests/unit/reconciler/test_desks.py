"""Places at a vendor's desk: never more than there are, and nobody forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reconciler.desks import Desks
from reconciler.sources.base import Key


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=60), st.randoms())
def test_everybody_has_a_turn(most: int, comers: list[tuple[str, int]], order: object) -> None:
    """However many come and whoever leaves first, no vendor has more than `most`, and all are served in the end."""
    desks, inside, served = Desks(most), list[tuple[str, Key]](), set[Key]()
    woken: list[tuple[str, Key]] = []
    desks.wake = lambda key: woken.append((key.namespace, key))
    coming = [(vendor, Key("Provider", vendor, str(number))) for vendor, number in comers]

    def come(vendor: str, key: Key) -> None:
        if (vendor, key) not in inside and desks.take(vendor, key):
            inside.append((vendor, key))
            served.add(key)
        assert all(count <= most for count in Counter(vendor for vendor, _ in inside).values())

    for vendor, key in coming:
        come(vendor, key)
    while inside:
        vendor, _ = inside.pop(order.randrange(len(inside)))  # type: ignore[attr-defined]  # hypothesis' Random
        desks.leave(vendor)
        while woken:
            come(*woken.pop())

    assert served == {key for _, key in coming}


def test_those_who_wait_are_served_in_their_order() -> None:
    """The one who has waited longest is next; coming again does not lose the place."""
    desks, woken = Desks(1), list[Key]()
    desks.wake = woken.append
    first, second, third = (Key("Provider", "team", name) for name in "abc")
    assert desks.take("x", first)
    assert not desks.take("x", second)
    assert not desks.take("x", third)

    desks.leave("x")

    assert woken == [second]
