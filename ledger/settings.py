"""Costhook's settings: one typed object, from flags, `COSTHOOK_*` variables and defaults, in this order.

Durations are in seconds. A value that is a secret shows as asterisks wherever settings are printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.errors import NeedsPerson

PREFIX: Final = "COSTHOOK_"
MASK: Final = "********"
_URL: Final = re.compile(
    r"(?P<before>postgres(?:ql)?(?:\+\w+)?://[\w.%~-]*)(?P<password>:[^@/?#:]*(?=@))?"
    r"(?P<after>(?:@[\w.%~,-]*)?(?::\d+)?(?:/[\w.%~-]*)?(?:\?(?:&?(?:host|port|sslmode)=[\w.%/~,-]*)*)?)"
)
LISTEN: Final = r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]+):([1-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"


class InvalidSetting(NeedsPerson):
    """A flag or a variable has a value that cannot be used; the text names it."""


class Settings(BaseSettings):
    """Every setting there is. Change one with the flag or the variable that `costhook settings` shows."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    state: Path = Field(Path(".costhook"), description="Folder of the state: the embedded Postgres and its data.")
    database_url: SecretStr | None = Field(
        None,
        description="A Postgres 15 or newer to use instead of the embedded one: postgresql://user:password@host/name.",
    )
    listen: str = Field(
        "127.0.0.1:2678",
        pattern=f"^{LISTEN}$",
        description="Where the API listens, HOST:PORT; port 0 picks a free one.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "error", description="What is logged to standard error: this and everything graver."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="How it is logged; auto writes text at a terminal and JSON lines elsewhere."
    )
    workers: int = Field(4, ge=1, le=64, description="Resources reconciled, and so vendors asked, at the same time.")
    lease_seconds: float = Field(
        60,
        ge=5,
        le=3600,
        description="How long a provider stays taken by a process that died while it synced.",
        json_schema_extra={"unit": "seconds"},
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts that vendors' base URLs may name though they speak plain http or have a private address: "
        "names, or *.suffix, separated by commas.",
    )
    allow_loopback: bool = Field(
        False, description="Let base URLs name this machine itself. Never do so where others write the manifests."
    )
    statement_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        description="After this long a reading statement is cut off.",
        json_schema_extra={"unit": "seconds"},
    )
    connections: int = Field(5, ge=1, le=100, description="Connections to Postgres that each side keeps at most.")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables: no files, so that nothing hidden decides."""
        return init_settings, env_settings

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def url(self) -> str | None:
        """The database URL with its password; None for the embedded server."""
        return None if self.database_url is None else self.database_url.get_secret_value()


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


def read(flags: Mapping[str, Any]) -> Settings:
    """The settings with `flags` (by field name; None means not given) above the environment. Raises InvalidSetting."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_complaint(details, given) for details in error.errors())) from None


def explain(settings: Settings, flags: Mapping[str, Any]) -> list[Setting]:
    """Every setting with its value and where it came from."""
    return [_explained(name, settings, flags) for name in Settings.model_fields]


def unknown_variables() -> Iterator[tuple[str, str | None]]:
    """`COSTHOOK_*` variables of the environment that are no setting, each with the one that may be meant."""
    for name in sorted(os.environ):
        setting = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and setting not in Settings.model_fields:
            meant = get_close_matches(setting, Settings.model_fields, n=1)
            yield name, _variable(meant[0]) if meant else None


def _explained(name: str, settings: Settings, flags: Mapping[str, Any]) -> Setting:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    return Setting(
        name=name,
        value=_text(getattr(settings, name)),
        origin=_origin(name, flags),
        variable=_variable(name),
        unit=str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else None,
        default=_text(field.default),
        says=field.description or "",
    )


def _origin(name: str, flags: Mapping[str, Any]) -> str:
    if flags.get(name) is not None:
        return _flag(name)
    given = {variable.upper() for variable, value in os.environ.items() if value}
    return _variable(name) if _variable(name) in given else "default"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return masked_url(value.get_secret_value())
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _complaint(details: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    name = str(details["loc"][0])
    said_by = _flag(name) if name in given else _variable(name)
    if name == "listen" and details["type"] == "string_pattern_mismatch":
        return f"{said_by}: write HOST:PORT, such as 127.0.0.1:2678 or [::1]:2678"
    return f"{said_by}: {details['msg'][0].lower()}{details['msg'][1:]}"


def masked_url(url: str) -> str:
    """A database URL without its password; all of it masked unless every part of it is known to be harmless."""
    found = _URL.fullmatch(url)
    if found is None:
        return MASK
    return found["before"] + (f":{MASK}" if found["password"] is not None else "") + found["after"]


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
