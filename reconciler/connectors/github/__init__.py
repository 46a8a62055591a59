"""GitHub: what an organisation, an enterprise or a user is billed for. The guide is docs/connectors/github.md."""

from reconciler.connectors.github.connector import GitHub, GitHubSettings

__all__ = ["GitHub", "GitHubSettings"]
