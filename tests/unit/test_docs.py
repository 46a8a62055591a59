"""The documentation holds: links lead somewhere, code in it parses, and every condition reason is explained."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import graphql
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


class Fence(NamedTuple):
    """A block of code in a page, and where it starts."""

    place: str
    language: str
    code: str


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences() -> Iterator[Fence]:
    """Every block of code in every page."""
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Fence(f"{name(page)}:{line}", match[2], dedent(match[3]))


def links(page: Path) -> Iterator[str]:
    """Targets of the page's links that stay inside the project."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for match in LINK.finditer(prose):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """What `#...` may name in a page: its headings, lower case, without punctuation, dashes for spaces."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def constants() -> Iterator[tuple[str, bool]]:
    """Every text constant of reconciler and ledger, and whether it is the reason of an error or a condition."""
    for path in [*(ROOT / "reconciler").rglob("*.py"), *(ROOT / "ledger").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[ast.Name("reason")], value=ast.Constant(str(value))):
                    yield value, True
                case ast.keyword("reason", ast.Constant(str(value))):
                    yield value, True
                case ast.Constant(str(value)):
                    yield value, False


def parse(fence: Fence) -> None:
    """Raise unless the block is what its language says. Languages that need a machine, such as bash, pass."""
    match fence.language:
        case "python":
            ast.parse(fence.code)
        case "yaml":
            list(yaml.safe_load_all(fence.code))
        case "json":
            json.loads(fence.code)
        case "graphql":
            graphql.parse(fence.code)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link of a page that stays inside the project names a file that exists, and a heading in it."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT if path.startswith("/") else page.parent) / path.lstrip("/") if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{link} names no heading"


@pytest.mark.parametrize("fence", list(fences()), ids=lambda fence: fence.place)
def test_code_in_pages_parses(fence: Fence) -> None:
    """Python, YAML, JSON and GraphQL shown to readers is at least well-formed."""
    parse(fence)


@pytest.mark.parametrize("language", ["python", "yaml", "json", "graphql"])
def test_broken_code_would_be_seen(language: str) -> None:
    """The check of code in pages refuses what is broken, in each language that it knows."""
    with pytest.raises(Exception, match=r"."):
        parse(Fence("here", language, "{{{ not: code ]"))


def test_every_reason_is_explained() -> None:
    """docs/reasons.md has a section for every reason that the program gives, and for none that it does not know."""
    explained = set(re.findall(r"^##+ `?(\w+)`?$", (ROOT / "docs/reasons.md").read_text(), re.MULTILINE))

    assert {text for text, is_reason in constants() if is_reason} <= explained
    assert explained <= {text for text, _ in constants()}
