r"""Patterns of models as an API server reads them.

Pydantic's regular expressions know all of Unicode, Go's RE2, which an API server uses, only ASCII: to the one `\s` is
also a no-break space, to the other not even a vertical tab. So classes are written out, or refused.
"""

from __future__ import annotations

import re
from typing import Final

SPACES: Final = r"\s\x0B\x{85}\p{Z}"
"""Unicode's White_Space, inside a class of RE2 (github.com/google/re2/wiki/Syntax)."""

_PARTS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|[^\\\[]+", re.DOTALL)
_UNALIKE: Final = re.compile(r"\\[bBdDwW]")


def for_re2(pattern: str) -> str:
    """The pattern with the same meaning in RE2. Raises ValueError where it has a class that means more in Unicode."""
    return "".join(map(_part, _PARTS.findall(pattern)))


def _part(part: str) -> str:
    if _UNALIKE.search(part.replace(r"\\", "")) or (part.startswith("[") and r"\S" in part):
        raise ValueError(f"{part} is not the same to an API server; write the characters out, such as [0-9]")
    if part.startswith("["):
        return part.replace(r"\s", SPACES)
    return {r"\s": f"[{SPACES}]", r"\S": f"[^{SPACES}]"}.get(part, part)
