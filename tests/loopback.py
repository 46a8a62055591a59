"""What clients of servers on this machine need, which speak plain HTTP."""

from __future__ import annotations

import ssl
from typing import Final

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""TLS that trusts nobody. A client that is given none reads every authority there is, which takes it 20 ms."""
