"""OpenAI's cost API as a small real server in a thread, with books for each namespace."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

DAY = 86400


@dataclass
class Books:
    """What the vendor knows of one namespace's account: an amount for every day, and the keys that open it.

    While `gate` is clear, costs are not answered; `waiting` is set as soon as somebody waits for them.
    """

    amount: str = "1.25"
    keys: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def answer(self, path: str, query: Mapping[str, list[str]], key: str) -> tuple[int, Any]:
        self.calls[path] += 1
        if key not in self.keys:
            refusal = {"message": "Incorrect API key provided.", "type": "error", "code": "invalid_api_key"}
            return 401, {"error": refusal}
        if path == "/organization/projects":
            return 200, {"object": "list", "data": [], "has_more": False, "last_id": None}
        self._wait()
        start, end = int(query["start_time"][0]), int(query["end_time"][0])
        days = [self._bucket(day) for day in range(start, end, DAY)] if path == "/organization/costs" else []
        return 200, {"object": "page", "data": days, "has_more": False, "next_page": None}

    def _wait(self) -> None:
        if not self.gate.is_set():
            self.waiting.set()
        self.gate.wait(60)

    def _bucket(self, start: int) -> Any:
        amount = {"value": float(self.amount), "currency": "usd"}
        row: dict[str, Any] = {
            "object": "organization.costs.result",
            "amount": amount,
            "line_item": "Web search tool calls",
        }
        row |= {"project_id": None, "organization_id": "org-1"}
        return {"object": "bucket", "start_time": start, "end_time": start + DAY, "results": [row]}


class Vendor:
    """Answers under `/NAMESPACE/...`. Use it as a context manager."""

    def __init__(self) -> None:
        books: defaultdict[str, Books] = defaultdict(Books)
        self.books = books

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                _, namespace, path = url.path.split("/", 2)
                key = (self.headers["Authorization"] or "").removeprefix("Bearer ")
                status, said = books[namespace].answer(f"/{path}", parse_qs(url.query), key)
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that goes away in mid-answer is what some tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for books in self.books.values():
            books.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, namespace: str) -> str:
        """The base URL of a namespace's account."""
        return f"http://127.0.0.1:{self._server.server_port}/{namespace}"
