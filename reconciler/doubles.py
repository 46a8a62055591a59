"""What is told of a Provider whose costs another one counts, too."""

from __future__ import annotations

from typing import Final

from ledger.standing import Double, Standing
from reconciler.status import DOUBLE_COUNTED, MAX_MESSAGE, Remark

MEND: Final = (
    "Totals over both have these costs twice: delete one of the two with deletionPolicy: Delete, or set "
    "attributionOnly: true on it."
)


def remarks(known: Standing | None) -> list[Remark]:
    """The condition of a provider whose accounts others count in totals as well; none where all is well."""
    if known is None or not known.doubles:
        return []
    said = " ".join(map(_told, known.doubles))[: MAX_MESSAGE - len(MEND) - 1]
    return [Remark(DOUBLE_COUNTED, reason="SameAccount", message=f"{said} {MEND}")]


def _told(double: Double) -> str:
    more = double.count - len(double.accounts)
    named = ", ".join(double.accounts) + (f" and {more} more" if more else "")
    what = f"{double.vendor} account {named} is" if double.count == 1 else f"{double.vendor} accounts {named} are"
    if double.provider is None:
        return f"{what} counted by a Provider of another namespace, too."
    kept = " (deleted; its charges were kept)" if double.removed else ""
    return f"{what} counted by the Provider {double.provider}{kept}, too."
