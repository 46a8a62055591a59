"""Settings: which source wins, where each value came from, and that no secret shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.provenance import MASK, Setting, explain, masked_url, unknown_variables
from ledger.settings import InvalidSetting, Settings, read

PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("COSTHOOK_")]:
        monkeypatch.delenv(name)


def shown(flags: dict[str, object]) -> dict[str, Setting]:
    return {setting.name: setting for setting in explain(read(flags), flags)}


def test_flags_beat_variables_and_variables_beat_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value comes from the first of flag, variable and default that says anything, and its origin is told."""
    monkeypatch.setenv("COSTHOOK_STATE", "from-variable")
    monkeypatch.setenv("COSTHOOK_LISTEN", "127.0.0.1:1")

    found = shown({"listen": "127.0.0.1:2", "state": None})

    assert (found["listen"].value, found["listen"].origin) == ("127.0.0.1:2", "--listen")
    assert (found["state"].value, found["state"].origin) == ("from-variable", "COSTHOOK_STATE")
    assert (found["workers"].value, found["workers"].origin) == (found["workers"].default, "default")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing leaves the default, as if it were not there."""
    monkeypatch.setenv("COSTHOOK_DATABASE_URL", "")

    assert shown({})["database_url"].origin == "default"
    assert read({}).url() is None


def test_every_setting_is_documented() -> None:
    """Every setting says what it is in a sentence, and a number of seconds says so."""
    for setting in explain(read({}), {}):
        assert setting.says.endswith("."), setting.name
        assert (setting.unit == "seconds") == setting.name.endswith("_seconds")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that is shown is the variable that is obeyed."""
    before = shown({})[name]
    values = {"listen": "[::1]:99", "log_level": "debug", "log_format": "json", "allow_loopback": "true"}
    values |= {"authentication": "true", "oidc_grants": '{"finance": ["*"]}'}
    monkeypatch.setenv(before.variable, values.get(name, "7" if before.value.isdigit() else "some-where"))

    assert shown({})[name].origin == before.variable
    assert shown({})[name].value != before.value


def test_what_should_be_json_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping is JSON; anything else names the variable and shows how to write it."""
    monkeypatch.setenv("COSTHOOK_OIDC_GRANTS", "finance=*")
    with pytest.raises(InvalidSetting, match=r"COSTHOOK_OIDC_GRANTS: .*not JSON; write it as"):
        read({})

    monkeypatch.setenv("COSTHOOK_OIDC_GRANTS", '{"finance": ["*"], "web": ["team-a", "team-b"]}')
    assert read({}).oidc_grants == {"finance": ("*",), "web": ("team-a", "team-b")}


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list needs no quoting."""
    monkeypatch.setenv("COSTHOOK_ALLOWED_HOSTS", " a.example, *.b.example ,")

    assert read({}).allowed_hosts == ("a.example", "*.b.example")


@pytest.mark.parametrize(
    ("listen", "address"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("host:1", ("host", 1))]
)
def test_addresses(listen: str, address: tuple[str, int]) -> None:
    """HOST:PORT comes apart, brackets of IPv6 addresses too."""
    assert read({"listen": listen}).address == address


@pytest.mark.parametrize("listen", ["2678", "127.0.0.1", ":80", "::1:80", "a b:1", "127.0.0.1:99999", "host:-1"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    """Anything else says what to write instead."""
    with pytest.raises(InvalidSetting, match=r"^--listen: write HOST:PORT, such as"):
        read({"listen": listen})


def test_complaints_name_the_flag_or_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is wrong is told at once, each by the name under which it was given."""
    monkeypatch.setenv("COSTHOOK_WORKERS", "0")

    with pytest.raises(InvalidSetting, match=r"--listen: .*; COSTHOOK_WORKERS: input should be"):
        read({"listen": "x"})


def test_variables_that_are_no_setting_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is told together with the one that was probably meant."""
    monkeypatch.setenv("COSTHOOK_LISTN", "127.0.0.1:1")
    monkeypatch.setenv("COSTHOOK_XYZZY", "1")

    assert list(unknown_variables()) == [("COSTHOOK_LISTN", "COSTHOOK_LISTEN"), ("COSTHOOK_XYZZY", None)]


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (f"postgresql://me:{PASSWORD}@db.example:5432/costs", f"postgresql://me:{MASK}@db.example:5432/costs"),
        ("postgresql://me@db.example/costs?sslmode=require", "postgresql://me@db.example/costs?sslmode=require"),
        (f"postgresql://me@db.example/costs?password={PASSWORD}", MASK),
        (f"postgresql://me:{PASSWORD}/half@db.example/costs", MASK),
        (f"postgresql://me:{PASSWORD}#half@db.example/costs", MASK),
        (f"postgresql://me:x@{PASSWORD}@db.example/costs", MASK),
        (f"host=db password={PASSWORD}", MASK),
    ],
)
def test_no_password_shows(url: str, masked: str) -> None:
    """A database URL is shown without its password, and not at all where that might hide anywhere else."""
    settings = read({"database_url": url})

    assert masked_url(url) == masked
    assert PASSWORD not in f"{settings!r} {settings} {explain(settings, {})}"


def test_no_value_is_repeated_in_a_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error does not show what was given, which may be a secret in the wrong place."""
    monkeypatch.setenv("COSTHOOK_WORKERS", PASSWORD)

    with pytest.raises(InvalidSetting) as raised:
        read({"listen": PASSWORD})

    assert PASSWORD not in str(raised.value)


def test_the_state_is_a_path() -> None:
    """Where nothing is said the state lies in the current folder."""
    assert read({}).state == Path(".costhook")
