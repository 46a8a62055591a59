"""Settings as people see them: each with its value, and where that came from. Secrets are masked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import SecretStr

from ledger.settings import PREFIX, Settings, flag, variable

MASK: Final = "********"
_URL: Final = re.compile(
    r"(?P<before>postgres(?:ql)?(?:\+\w+)?://[\w.%~-]*)(?P<password>:[^@/?#:]*(?=@))?"
    r"(?P<after>(?:@[\w.%~,-]*)?(?::\d+)?(?:/[\w.%~-]*)?(?:\?(?:&?(?:host|port|sslmode)=[\w.%/~,-]*)*)?)"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as people see it: its value as text, masked if it is a secret, and where that came from."""

    name: str
    value: str
    origin: str
    variable: str
    unit: str | None
    default: str
    says: str


def explain(settings: Settings, flags: Mapping[str, Any]) -> list[Setting]:
    """Every setting with its value and where it came from."""
    return [_explained(name, settings, flags) for name in Settings.model_fields]


def unknown_variables() -> Iterator[tuple[str, str | None]]:
    """`COSTHOOK_*` variables of the environment that are no setting, each with the one that may be meant."""
    for name in sorted(os.environ):
        setting = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and setting not in Settings.model_fields:
            meant = get_close_matches(setting, Settings.model_fields, n=1)
            yield name, variable(meant[0]) if meant else None


def _explained(name: str, settings: Settings, flags: Mapping[str, Any]) -> Setting:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    return Setting(
        name=name,
        value=_text(getattr(settings, name)),
        origin=_origin(name, flags),
        variable=variable(name),
        unit=str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else None,
        default=_text(field.default),
        says=field.description or "",
    )


def _origin(name: str, flags: Mapping[str, Any]) -> str:
    if flags.get(name) is not None:
        return flag(name)
    given = {variable.upper() for variable, value in os.environ.items() if value}
    return variable(name) if variable(name) in given else "default"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return masked_url(value.get_secret_value())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value) if value else ""
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def masked_url(url: str) -> str:
    """A database URL without its password; all of it masked unless every part of it is known to be harmless."""
    found = _URL.fullmatch(url)
    if found is None:
        return MASK
    return found["before"] + (f":{MASK}" if found["password"] is not None else "") + found["after"]
