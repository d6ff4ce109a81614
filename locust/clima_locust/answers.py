"""Which answer means that a tweet was accepted, and what to call the others."""

import json
from typing import Any

from locust.contrib.fasthttp import LocustBadStatusCode, ResponseContextManager

# What the service sends, byte for byte; recognising it costs next to nothing.
ACCEPTED = b'{"status":"accepted"}'


def failure(response: ResponseContextManager) -> str | None:
    """None for an accepted tweet, else a short name for what went wrong.

    The names are few, so that failures can be counted by them: `HTTP 503 MAYBE_COUNTED`, where the
    reason comes from the answer's google.rpc.ErrorInfo, or the name of a connection's error.
    """
    error = response.request_meta["exception"]
    if error is not None and not isinstance(error, LocustBadStatusCode):
        return type(error).__name__
    status = response.status_code
    content = response.content or b""
    if status == 200:
        if content == ACCEPTED or _parse(content) == {"status": "accepted"}:
            return None
        return "HTTP 200 without accepted"
    reason = _reason(_parse(content))
    return f"HTTP {status} {reason}" if reason else f"HTTP {status}"


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _reason(status: Any) -> str | None:
    """The reason in a google.rpc.Status, if it has one."""
    details = status.get("details") if isinstance(status, dict) else None
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("google.rpc.ErrorInfo"):
            return str(detail.get("reason", "")) or None
    return None
