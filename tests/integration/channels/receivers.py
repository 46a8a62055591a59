"""Receivers as their documentation has them: they check what they are sent, and refuse what breaks their limits."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

SECRET = "T0000XYZ/B0000XYZ/s3cr3tPartOfTheAddress"


def units(text: str) -> int:
    """Characters as JavaScript counts them."""
    return len(text.encode("utf-16-le")) // 2


def plain(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/plain"})


@dataclass
class SlackPlay:
    """Takes Block Kit within its limits."""

    taken: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> str:
        server.route("POST", f"/services/{SECRET}", self._post)
        return f"{server.url}/services/{SECRET}"

    def _post(self, request: Request) -> Reply:
        body = request.json()
        if not isinstance(body.get("text"), str) or not 1 <= len(body["blocks"]) <= 50:
            return plain("invalid_payload", 400)
        if not all(map(self._sound, body["blocks"])):
            return plain("invalid_blocks", 400)
        self.taken.append(body)
        return plain("ok")

    def _sound(self, block: Mapping[str, Any]) -> bool:
        if block["type"] == "header":
            return block["text"]["type"] == "plain_text" and 1 <= units(block["text"]["text"]) <= 150
        fields = block.get("fields", [])
        texts = [block["text"]] if "text" in block else []
        return (
            block["type"] == "section"
            and len(fields) <= 10
            and all(1 <= units(each["text"]) <= 3000 for each in texts)
            and all(1 <= units(each["text"]) <= 2000 for each in fields)
            and bool(texts or fields)
        )


@dataclass
class DiscordPlay:
    """Takes embeds within their limits, and answers with the saved message."""

    taken: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> str:
        server.route("POST", f"/api/webhooks/{SECRET}", self._post)
        return f"{server.url}/api/webhooks/{SECRET}?thread_id=42"

    def _post(self, request: Request) -> Reply:
        body = request.json()
        if request.first("wait") != "true" or request.first("thread_id") != "42":
            return Reply(204)
        if not 1 <= len(body["embeds"]) <= 10 or not all(map(self._sound, body["embeds"])):
            return Reply.json({"message": "Invalid Form Body", "code": 50035}, 400)
        self.taken.append(body)
        return Reply.json({"id": "1234567890", "type": 0})

    def _sound(self, embed: Mapping[str, Any]) -> bool:
        fields = embed.get("fields", [])
        parts = [embed.get("title", ""), embed.get("description", "")]
        parts += [text for each in fields for text in (each["name"], each["value"])]
        return (
            units(embed.get("title", "")) <= 256
            and units(embed.get("description", "")) <= 4096
            and len(fields) <= 25
            and all(1 <= units(each["name"]) <= 256 and 1 <= units(each["value"]) <= 1024 for each in fields)
            and sum(map(units, parts)) <= 6000
        )


@dataclass
class TeamsPlay:
    """Takes Adaptive Cards of at most 28 KB, counted as UTF-16 unless the charset is named."""

    taken: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> str:
        server.route("POST", "/workflows/0123456789abcdef/triggers/manual/paths/invoke", self._post)
        return f"{server.url}/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig={SECRET[-20:]}"

    def _post(self, request: Request) -> Reply:
        if request.first("sig") != SECRET[-20:]:
            return Reply.json({"error": {"code": "DirectApiAuthorizationRequired", "message": "no"}}, 401)
        size = len(request.body) if "utf-8" in request.headers["content-type"] else 2 * len(request.body)
        if size > 28 * 1024:
            return Reply.json({"error": {"code": "RequestEntityTooLarge", "message": "too large"}}, 413)
        body = request.json()
        (attachment,) = body["attachments"]
        card = attachment["content"]
        if body["type"] != "message" or attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
            return Reply(400)
        if (card["type"], card["version"]) != ("AdaptiveCard", "1.2") or not card["body"]:
            return Reply(400)
        self.taken.append(card)
        return Reply(202, headers={"x-ms-workflow-run-id": "08585287554177334956"})


@dataclass
class HookPlay:
    """A receiver of the user's own: notes headers and bodies."""

    taken: list[Request] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> str:
        server.route("POST", f"/hooks/{SECRET}", self._post)
        return f"{server.url}/hooks/{SECRET}"

    def _post(self, request: Request) -> Reply:
        self.taken.append(request)
        return Reply(202)


@dataclass
class ResendPlay:
    """Sends one mail for one idempotency key, and refuses the key with another body."""

    key: str
    sent: dict[str, Any] = field(default_factory=dict)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/emails", self._post)

    def _post(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply.json({"statusCode": 401, "name": "invalid_api_key", "message": "API key is invalid"}, 401)
        body = request.json()
        if not {"from", "to", "subject", "text"} <= body.keys() or len(body["to"]) > 50:
            return Reply.json({"statusCode": 422, "name": "missing_required_field", "message": "missing"}, 422)
        key = request.headers["idempotency-key"]
        if self.sent.setdefault(key, body) != body or len(key) > 256:
            return Reply.json({"statusCode": 409, "name": "invalid_idempotent_request", "message": "other body"}, 409)
        return Reply.json({"id": f"mail-{list(self.sent).index(key)}"})


@dataclass
class SendGridPlay:
    """Queues a mail and says so without a body."""

    key: str
    sent: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/v3/mail/send", self._post)

    def _post(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply.json({"errors": [{"message": "The provided authorization grant is invalid"}]}, 401)
        body = request.json()
        to = [each["email"] for each in body["personalizations"][0]["to"]]
        if len(set(to)) != len(to) or [part["type"] for part in body["content"]] != ["text/plain", "text/html"]:
            return Reply.json({"errors": [{"message": "Each email address should be unique", "field": "to"}]}, 400)
        self.sent.append(body)
        return Reply(202, headers={"X-Message-Id": "14c5d75ce93.dfd.64b469"})


@dataclass
class MailgunPlay:
    """Queues a mail that comes as a form."""

    key: str
    sent: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", "/v3/mg.example.com/messages", self._post)

    def _post(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Basic {b64encode(f'api:{self.key}'.encode()).decode()}":
            return plain("Forbidden", 401)
        form = parse_qs(request.body.decode(), strict_parsing=True)
        if not {"from", "to", "subject", "text"} <= form.keys():
            return Reply.json({"message": "to parameter is missing"}, 400)
        self.sent.append(form)
        return Reply.json({"id": "<20260320.1@mg.example.com>", "message": "Queued. Thank you."})


def size(value: Any) -> int:
    """Bytes of `value` as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())
