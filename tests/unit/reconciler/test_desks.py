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


@given(st.integers(1, 3), st.lists(st.booleans(), min_size=1, max_size=30))
def test_nobody_waits_behind_one_who_has_no_use_for_a_place(most: int, wants: list[bool]) -> None:
    """Who is called and finds nothing to do passes the turn on, so that all are called, one for each place."""
    desks, woken = Desks(most), list[Key]()
    desks.wake = woken.append
    first = [Key("Provider", "first", str(number)) for number in range(most)]
    assert all(desks.take("x", key) for key in first)
    coming = {Key("Provider", "team", str(number)): wish for number, wish in enumerate(wants)}
    assert not any(desks.take("x", key) for key in coming)

    desks.leave("x")
    for _ in wants:
        [key] = woken
        woken.clear()
        assert desks.has_place("x", key)
        assert not desks.has_place("x", Key("Provider", "late", "comer"))
        if coming.pop(key):
            assert desks.take("x", key)
            desks.leave("x")
        desks.done(key)

    assert not coming


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
