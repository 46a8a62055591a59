"""Any vendor with a JSON API, declared in the resource itself: type `http`. The guide is docs/connectors/http.md."""

from reconciler.connectors.declared.connector import Declared
from reconciler.connectors.declared.settings import HttpSettings

__all__ = ["Declared", "HttpSettings"]
