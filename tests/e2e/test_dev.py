"""What `make dev` applies."""

from __future__ import annotations

from reconciler.kinds.catalogue import kinds
from reconciler.kinds.reading import spec_faults
from tests.e2e.dev import KEY, _manifests

FILES, VENDOR = "http://127.0.0.1:1", "http://127.0.0.1:2"


def test_the_examples_of_development_work_in_a_cluster() -> None:
    """They are the quickstart's, with nothing suspended, no file beside a manifest, and the played vendor's address."""
    made = list(_manifests(FILES, VENDOR))
    specs = [(each["kind"], each["spec"]) for each in made if each["kind"] in kinds()]

    assert {each["metadata"]["name"] for each in made} >= {"openai", "focus-sample", "subscriptions", "openai-admin"}
    assert [spec_faults(kinds()[kind], spec, None) for kind, spec in specs] == [[]] * len(specs)
    assert not [spec for _, spec in specs if spec.get("suspend")]
    files = [file for _, spec in specs for file in spec.get("focus", {}).get("files", ())]
    assert files
    assert all(file.startswith(f"{FILES}/focus/") for file in files)
    assert [spec["openai"] for _, spec in specs if "openai" in spec] == [{"baseURL": VENDOR}]
    assert [each["stringData"] for each in made if each["kind"] == "Secret"] == [{"apiKey": KEY}]
