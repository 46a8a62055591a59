"""docs/commands.md tells of every command, option and setting, as the program has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import costhook
from ledger.provenance import explain
from ledger.settings import read

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its full name, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands(typer.main.get_command(costhook.app)))


def section(command: str) -> str:
    """What the page says of a command."""
    return PAGE.split(f"\n## costhook {command}\n")[1].split("\n## ")[0]


def options(command: str) -> Iterator[str]:
    """Every option of a command but --help, which all have."""
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "option" and "--help" not in parameter.opts:
            yield from parameter.opts


def test_every_command_has_a_section() -> None:
    """The page has a section for each command, and none for what is no command."""
    assert sorted(re.findall(r"^## costhook ([\w ]+)$", PAGE, re.MULTILINE)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_told(command: str) -> None:
    """The section names every option, and none that the command does not have."""
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"```.*?```", "", section(command), flags=re.DOTALL)))
    others = {option for other in COMMANDS for option in options(other)} | {"--once"}

    assert set(options(command)) - {"-n"} <= told
    assert told & others <= set(options(command)) | {"--to", "--from"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """The help has an example, which the page has too, and says what every option means."""
    text = COMMANDS[command].help or ""

    assert re.search(r"Examples?: `[^`]*costhook ", text)
    assert f"costhook {command}" in section(command).split("```console")[1]
    assert all(parameter.help for parameter in COMMANDS[command].params if parameter.param_type_name == "option")


@pytest.mark.parametrize("setting", explain(read({}), {}), ids=lambda setting: str(setting.name))
def test_every_setting_is_in_the_table(setting: Any) -> None:
    """The table has the setting's variable, unit, default and meaning, word for word."""
    default = f"`{setting.default}`" if setting.default else "none"

    assert f"| `{setting.variable}` | {setting.unit or ''} | {default} | {setting.says} |" in PAGE
