"""Costhook's settings: one typed object, from flags, `COSTHOOK_*` variables and defaults, in this order.

Durations are in seconds. A value that is a secret shows as asterisks wherever settings are printed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.errors import NeedsPerson

PREFIX: Final = "COSTHOOK_"
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
    authentication: bool = Field(
        False, description="Ask every caller of the API who they are; needed where other machines reach it."
    )
    api_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names under which the API is reached, separated by commas; any, if none are given."
    )
    api_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Web origins other than the API's own whose pages may call it, separated by commas."
    )
    kubernetes: str | None = Field(
        None,
        description="The cluster whose bearer tokens the API accepts, and whose RBAC decides what their owners see: "
        "in-cluster, or the path of a kubeconfig.",
    )
    oidc_issuer: str | None = Field(
        None, description="The identity provider whose JWTs the API accepts beside its own tokens: https://..."
    )
    oidc_audience: str | None = Field(None, description="The audience that JWTs must be meant for.")
    oidc_jwks_url: str | None = Field(
        None, description="Where the identity provider's keys are, if not where its discovery document says."
    )
    oidc_claim: str = Field("groups", description="The claim of JWTs that holds the caller's groups.")
    oidc_grants: Annotated[dict[str, tuple[str, ...]], NoDecode] = Field(
        default={},
        description='Namespaces that each group opens, as JSON, such as {"finance": ["*"]}; if none are given, '
        "groups are namespaces.",
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

    @field_validator("allowed_hosts", "api_hosts", "api_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("oidc_grants", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('not JSON; write it as {"group": ["namespace"]}') from None

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


def read(flags: Mapping[str, Any]) -> Settings:
    """The settings with `flags` (by field name; None means not given) above the environment. Raises InvalidSetting."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_complaint(details, given) for details in error.errors())) from None


def _complaint(details: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    name = str(details["loc"][0])
    said_by = flag(name) if name in given else variable(name)
    if name == "listen" and details["type"] == "string_pattern_mismatch":
        return f"{said_by}: write HOST:PORT, such as 127.0.0.1:2678 or [::1]:2678"
    return f"{said_by}: {details['msg'][0].lower()}{details['msg'][1:]}"


def variable(name: str) -> str:
    """The variable that gives a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag that gives a setting, where a command has it."""
    return "--" + name.replace("_", "-")
