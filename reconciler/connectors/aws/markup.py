"""XML as AWS's older services answer it: STS and S3."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from reconciler.errors import Bug


def tree(body: bytes) -> ET.Element:
    """The document's root, names without namespaces. Raises Bug where it is no XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat itself bounds what entities may grow to
    except ET.ParseError as error:
        raise Bug(f"AWS's answer is not XML: {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text(element: ET.Element, path: str) -> str:
    """The text at `path` below `element`. Raises Bug where there is none."""
    found = element.findtext(path)
    if not found:
        raise Bug(f"AWS's answer has no {path.rpartition('/')[2]}, so none of it was counted")
    return found
