"""Who asks."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.graphql.context import Resolving


@strawberry.enum(description="How the caller proved who they are; LOCAL: by sitting at the machine.")
class ViewerKind(Enum):
    LOCAL = "local"
    TOKEN = "token"
    JWT = "jwt"
    KUBERNETES = "kubernetes"


@strawberry.type(description="Who asks, and what they may do.")
class Viewer:
    name: str
    kind: ViewerKind
    namespaces: list[str] | None = strawberry.field(description="Namespaces that they may read; null: all.")
    scopes: list[str]


def viewer(info: Resolving) -> Viewer:
    principal = info.context.principal
    seen = principal.namespaces
    return Viewer(
        name=principal.name,
        kind=ViewerKind(principal.kind),
        namespaces=None if seen is None else sorted(seen),
        scopes=sorted(principal.scopes),
    )
