"""What the tests of the conformance suite share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from _pytest.outcomes import Failed

from reconciler.connectors.base import CredentialKey, Traits


def traits(type_: str, credentials: tuple[CredentialKey, ...] = ()) -> Traits:
    """Traits of a connector of this page."""
    return Traits(
        type=type_,
        title="Vendor",
        origin="api",
        gives="Cost per day.",
        grain="Day",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(days=1),
        credentials=credentials,
    )


async def fails(test: Callable[..., Any], arguments: dict[str, Any], folder: Path) -> bool:
    """Whether a test of the suite fails."""
    if "tmp_path" in inspect.signature(test).parameters:
        arguments = {**arguments, "tmp_path": folder}
    try:
        await test(**arguments)
    except (Exception, Failed):  # noqa: BLE001 - a faulty connector fails its test in any way
        return True
    return False
