"""The kind ManualCost: costs that no API tells, entered once or recurring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ledger.charge import ChargeCategory
from ledger.recurrence import Recurrence, Spread
from reconciler.kinds.base import Block, DeletionPolicy, listed_by
from reconciler.kinds.forms import SUBDOMAIN, Amount, Currency, Day, Form
from reconciler.kinds.rules import Rule

ServiceCategory = Literal[
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Multicloud",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
]
"""The categories of FOCUS 1.0 to 1.4."""

EntryName = Annotated[str, Form(SUBDOMAIN, "a name; use lower-case letters, digits, - and ., like figma-seats", 253)]
Text = Annotated[str, Field(min_length=1, max_length=256)]


class ManualEntry(Block):
    """One amount that is due once, or again and again."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("!has(self.end) || self.start < self.end", "the first day not included, so it lies after start", "end"),
        Rule(
            "self.spread != 'Daily' || self.recurrence != 'None' || has(self.end)",
            "Daily spreads a one-off amount over the days from start to end; give end, or use spread: Whole",
            "spread",
        ),
        Rule(
            "!has(self.tags) || self.tags.all(key, key.size() >= 1 && key.size() <= 128)",
            "a tag's name has 1 to 128 characters",
            "tags",
        ),
    )

    name: EntryName = Field(description="Names the entry within the resource; renaming it makes another entry.")
    service_name: Text = Field(description="What is paid for, as it is to be shown: FOCUS ServiceName.")
    amount: Amount = Field(
        description="What one period costs, in spec.currency, as text; negative for credits. Up to 15 digits before "
        "the point and 12 after."
    )
    start: Day = Field(description="First UTC day; a recurring entry's periods are counted from it.")
    end: Day | None = Field(
        default=None,
        description="The first UTC day not included. A recurring entry without it goes on; a one-off entry without "
        "it covers its first day.",
    )
    recurrence: Recurrence = Field(default="None", description="How often the amount is due, from start on.")
    spread: Spread = Field(
        default="Whole",
        description="Whole puts the amount on the first day of each period, Daily in equal parts on every day of it.",
    )
    service_category: ServiceCategory | None = Field(
        default=None, description="FOCUS ServiceCategory, to group by; none if absent."
    )
    charge_category: ChargeCategory = Field(default="Purchase", description="FOCUS ChargeCategory.")
    sub_account: Text | None = Field(
        default=None, description="Who within the organisation uses it: FOCUS SubAccountId; none if absent."
    )
    tags: dict[str, Annotated[str, Field(max_length=256)]] | None = Field(
        default=None, description="Tags to group and filter by, as a vendor's own tags are; at most 32.", max_length=32
    )
    note: str | None = Field(default=None, description="For people: why, who decided, how many seats.", max_length=1024)


def _named_apart(entries: tuple[ManualEntry, ...]) -> tuple[ManualEntry, ...]:
    again = _repeated([entry.name for entry in entries])
    if again:
        raise PydanticCustomError("form", "{text}", {"text": f"two entries are named {again[0]}; rename one"})
    return entries


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


class ManualCostSpec(Block):
    """Costs that no API tells."""

    currency: Currency = Field(description="Currency of every amount in entries: an ISO 4217 code.")
    entries: Annotated[tuple[ManualEntry, ...], AfterValidator(_named_apart)] = Field(
        description="What it costs, each entry under a name of its own; 1 to 256 entries.",
        min_length=1,
        max_length=256,
        json_schema_extra=listed_by("name"),
    )
    deletion_policy: DeletionPolicy = Field(
        default="Retain",
        description="What happens to the charges when the resource is deleted: Retain keeps them, Delete removes them "
        "and their history for good.",
    )
