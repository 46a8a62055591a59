"""`costhook try`: a manifest run once, its talk shown without secrets, its charges exact, and nothing stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from tests.integration.command.conftest import Answer, Call

KEY = "acme-key-0123456789"
MANIFEST = """\
apiVersion: v1
kind: Secret
metadata: {name: acme}
stringData: {apiKey: acme-key-0123456789}
---
apiVersion: costhook.io/v1alpha1
kind: Provider
metadata: {name: acme}
spec:
  type: http
  suspend: true
  secretRef: {name: acme}
  http:
    baseURL: ADDRESS
    vendor: Acme
    request:
      path: /costs
      query:
        - {name: from, value: "${start.date}"}
        - {name: key, value: "${secret.apiKey}"}
      headers: [{name: Authorization, value: "Bearer ${secret.apiKey}"}]
    rows: data
    charge: {billedCost: amount, billingCurrency: "'USD'", chargePeriodStart: day, skuId: sku}
"""


@contextmanager
def serving(server: ScriptedServer) -> Iterator[str]:
    """The server in a thread of its own, since the command brings its own event loop."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield server.url
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def costs(request: Request) -> Reply:
    rows = [{"day": "2026-03-02", "amount": Decimal("0.10000000000000000001"), "sku": f"s{n}"} for n in range(30)]
    return Reply.json({"echo": request.target, "data": rows})


@pytest.fixture
def attempt(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Tries the manifest against a played vendor."""
    monkeypatch.setenv("COSTHOOK_ALLOW_LOOPBACK", "true")
    monkeypatch.chdir(tmp_path)
    server = ScriptedServer()
    server.route("GET", "/costs", costs)
    server.route("GET", "/escape", lambda _: Reply(status=403, body=b"\x1b[2Jno"))
    server.route("GET", "/said", lambda _: Reply.json({"error": "\x1b[2Jno"}, 403))
    with serving(server) as url:
        file = tmp_path / "acme.yaml"
        file.write_text(MANIFEST.replace("ADDRESS", url))

        def run(*arguments: object) -> Answer:
            return call("try", file, *arguments)

        yield run


def test_the_talk_and_the_charges_are_shown(attempt: Call, tmp_path: Path) -> None:
    """It shows the request, the answer and the charges with their sum, masks the key, and leaves nothing behind."""
    answer = attempt("--from", "2026-03-02", "--to", "2026-03-03")

    assert answer.code == 0, answer.err
    assert "GET http://127.0.0.1:" in answer.out
    assert "from=2026-03-02" in answer.out
    assert '"amount": 0.10000000000000000001,' in answer.out
    assert "Authorization: ***" in answer.out
    assert "more characters)" in answer.out
    assert "... and 10 more" in answer.out
    assert "30 charges in 1 window: 3.0000000000000000003 USD" in answer.out
    assert KEY not in answer.out + answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["acme.yaml"]


def test_json_holds_every_charge(attempt: Call) -> None:
    """With --json standard output is JSON alone, and the talk is on standard error."""
    answer = attempt("--from", "2026-03-02", "--to", "2026-03-03", "--json")

    said = answer.json()
    assert said["totals"] == [{"currency": "USD", "amount": "3.0000000000000000003"}]
    assert len(said["charges"]) == 30
    assert said["charges"][0]["billedCost"] == "0.10000000000000000001"
    assert "GET http://127.0.0.1:" in answer.err
    assert KEY not in answer.out + answer.err


def test_what_a_vendor_says_cannot_steer_the_terminal(attempt: Call, tmp_path: Path) -> None:
    """Control characters in an answer are shown as such, not obeyed."""
    file = tmp_path / "acme.yaml"
    text = file.read_text()
    file.write_text(text.replace("/costs", "/escape"))
    shown = attempt("--from", "2026-03-02", "--to", "2026-03-03")
    file.write_text(text.replace("/costs", "/said"))
    told = attempt("--from", "2026-03-02", "--to", "2026-03-03")

    assert (shown.code, told.code) == (1, 1)
    assert "\x1b" not in shown.out + shown.err + told.out + told.err
    assert "\N{REPLACEMENT CHARACTER}[2Jno" in shown.out
    assert "\N{REPLACEMENT CHARACTER}[2Jno" in told.err


def test_a_refusal_is_shown(attempt: Call, tmp_path: Path) -> None:
    """What the vendor answers when it refuses is shown too, and the command fails."""
    file = tmp_path / "acme.yaml"
    file.write_text(file.read_text().replace("/costs", "/elsewhere"))
    answer = attempt("--from", "2026-03-02", "--to", "2026-03-03")

    assert answer.code == 1
    assert "< 404" in answer.out
    assert KEY not in answer.out + answer.err


def test_keys_may_lie_in_files(attempt: Call, tmp_path: Path) -> None:
    """A file secrets/NAME/KEY beside the manifest comes before what the manifest declares."""
    secret = tmp_path / "secrets/acme/apiKey"
    secret.parent.mkdir(parents=True)
    secret.write_text("another-key-0123456789\n")
    answer = attempt("--from", "2026-03-02", "--to", "2026-03-03")

    assert answer.code == 0
    assert "another-key" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rows: data[", "spec.http.rows: no JMESPath expression"),
        ("rows: nothing", "http.rows: the expression nothing gives nothing"),
    ],
)
def test_mistakes_are_told(text: str, words: str, attempt: Call, tmp_path: Path) -> None:
    """A manifest that is wrong, or does not fit the answer, is told in a line."""
    file = tmp_path / "acme.yaml"
    file.write_text(file.read_text().replace("rows: data", text))
    answer = attempt("--from", "2026-03-02", "--to", "2026-03-03")

    assert answer.code == 1
    assert words in answer.err
    assert KEY not in answer.out + answer.err


def test_what_is_no_provider_is_told(attempt: Call, tmp_path: Path) -> None:
    """A file without Providers, or with several, says so; a period that is none is a wrong call."""
    file = tmp_path / "acme.yaml"
    text = file.read_text()
    file.write_text(text + "---\n" + text.split("---\n")[1].replace("name: acme}", "name: other}", 1))
    several = attempt()
    chosen = attempt("--name", "other", "--from", "2026-03-02", "--to", "2026-03-03", "--json")
    backwards = attempt("--from", "2026-03-02", "--to", "2026-03-02")
    file.write_text(text.split("---\n")[0])

    assert "choose one with --name" in several.err
    assert len(json.loads(chosen.out)["charges"]) == 30
    assert backwards.code == 2
    assert "holds no Provider" in attempt().err
