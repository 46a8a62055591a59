"""The tests that every connector passes, built in or not: subclass, fill in the hooks, let pytest run it.

    class TestAcme(ConnectorConformance):
        connector = Acme
        credentials = {"apiKey": "acme-0123456789"}

        def settings(self, base_url): ...
        def vendor(self, server, lines): ...

`ConnectorConformance` is for connectors that speak HTTP, `FileConformance` for those that read files.
Needs pytest and pytest-asyncio, which Costhook itself does not.
"""

import pytest

for _part in ("figures", "filefaults", "harness", "httpfaults"):
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

# Only modules imported after the registration say which values an assert failed on.
from reconciler.connectors.conformance.figures import Figures  # noqa: E402
from reconciler.connectors.conformance.filefaults import FileFaults  # noqa: E402
from reconciler.connectors.conformance.harness import Line, Stage  # noqa: E402
from reconciler.connectors.conformance.httpfaults import HttpFaults  # noqa: E402

__all__ = ["ConnectorConformance", "FileConformance", "Line", "Stage"]


class ConnectorConformance(Figures, HttpFaults):
    """For connectors that speak HTTP. Hooks: `connector`, `credentials`, `settings`, `vendor` (see harness.Hooks)."""


class FileConformance(Figures, FileFaults):
    """For connectors that read files. Hooks: `connector`, `settings`, `place`, `damage` (see harness.Hooks)."""
