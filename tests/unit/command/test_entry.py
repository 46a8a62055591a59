"""The command's entry: it answers at once, knows wrong usage, and says in one line what went wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

import costhook
from ledger.errors import InvalidQuestion, NeedsPerson
from reconciler.errors import RetryLater

HEAVY = ("alembic", "asyncpg", "cel", "httpx", "kopf", "pyarrow", "pydantic", "sqlalchemy", "starlette", "strawberry")


def ran(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(costhook.app, list(arguments))
    return done.exit_code, done.output


def test_help_waits_for_nothing_heavy() -> None:
    """Asking for help imports none of the libraries that take long."""
    code = f"import costhook, sys; print(sorted(set(sys.modules) & {set(HEAVY)}))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_version() -> None:
    """The version is that of the installed package."""
    assert ran("--version") == (0, f"costhook {version('costhook')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["up"],
        ["up", "/no/such/folder"],
        ["costs", "--from", "yesterday"],
        ["costs", "--as-of", "noon"],
        ["costs", "--granularity", "hour"],
        ["export", "charges"],
        ["export", "bills", "--from", "2026-01", "--to", "2026-02"],
        ["restatements", "--limit", "0"],
    ],
)
def test_wrong_usage_has_an_exit_code_of_its_own(arguments: list[str]) -> None:
    """What cannot be understood ends with 2."""
    assert ran(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NeedsPerson("do this"), 1, "costhook: do this\n"),
        (RetryLater("not now"), 1, "costhook: not now\n"),
        (InvalidQuestion("ask otherwise"), 2, "costhook: ask otherwise\n"),
        (ExceptionGroup("several", [NeedsPerson("do this")]), 1, "costhook: do this\n"),
        (FileNotFoundError(2, "No such file", "x.csv"), 1, "costhook: x.csv: No such file\n"),
    ],
)
def test_errors_are_one_line(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is told by its text alone; a wrong question counts as wrong usage."""
    monkeypatch.setattr(costhook, "app", _raising(error))

    with pytest.raises(SystemExit) as ended:
        costhook.main(["providers"])

    assert (ended.value.code, capsys.readouterr().err) == (code, said)


def test_a_bug_is_told_without_its_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected error shows its type and place, never its text, which may hold a secret; --debug shows it all."""
    monkeypatch.setattr(costhook, "app", _raising(KeyError("correct-horse")))

    with pytest.raises(SystemExit):
        costhook.main(["providers"])
    said = capsys.readouterr().err
    assert "unexpected KeyError at test_entry.py:" in said
    assert "correct-horse" not in said
    with pytest.raises(KeyError):
        costhook.main(["--debug", "providers"])


def _raising(error: Exception) -> object:
    def app(*_arguments: object, **_options: object) -> None:
        raise error

    return app
