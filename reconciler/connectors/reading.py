"""Reading a vendor's JSON as a model: numbers stay exact, and what is not as documented is told by its place."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from ledger.money import amount
from reconciler.errors import Bug

_NUMERIC: Final = (Decimal, int, str)
"""What is asked for at each number: a union would be made anew each time."""


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, _NUMERIC):
        raise ValueError("not a number")
    return amount(value)


Number = Annotated[Decimal, PlainValidator(_number)]
"""An exact number, which vendors write as a JSON number or as a numeric text."""


class Answer(BaseModel):
    """Base of what a vendor answers. A field that the vendor adds one day is no error; one that is missing is."""

    model_config = ConfigDict(frozen=True)


A = TypeVar("A", bound=Answer)


def read(kind: type[A], answer: Any, vendor: str) -> A:
    """`answer` as `kind`. Raises Bug, with the place that is not as `vendor` documents it and no value of it."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise Bug(f"{vendor}'s answer cannot be counted, so none of it was: {where}: {first['msg']}") from None
