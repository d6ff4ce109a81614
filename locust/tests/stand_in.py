"""A small real HTTP server in the place of the service, and the command that runs Locust against it."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOCUSTFILE = Path(__file__).parents[1] / "locustfile.py"

ACCEPTED = (200, {"status": "accepted"})
# An answer that is none: the connection is closed.
HANG_UP = (0, None)


@dataclass
class Request:
    """What the server saw of one request."""

    client_port: int
    path: str
    content_type: str
    key: str
    tweet: dict


class Api:
    """The service's stand-in.

    A test may replace `answer`: it gets the number of the request, from 0, and returns status and body.
    """

    def __init__(self) -> None:
        self.host = ""
        self.requests: list[Request] = []
        self.answer: Callable[[int], tuple[int, object]] = lambda _: ACCEPTED
        self._counting = threading.Lock()

    def take(self, request: Request) -> tuple[int, object]:
        with self._counting:
            number = len(self.requests)
            self.requests.append(request)
        return self.answer(number)


class _Server(ThreadingHTTPServer):
    # The default of 5 would make the sixth user of a burst wait a second for its connection.
    request_queue_size = 128
    daemon_threads = True


@contextmanager
def serve() -> Iterator[Api]:
    """An Api that answers on a free port of this machine."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = api.take(
                Request(
                    client_port=self.client_address[1],
                    path=self.path,
                    content_type=self.headers["content-type"],
                    key=self.headers["idempotency-key"],
                    tweet=json.loads(body),
                )
            )
            if (status, answer) == HANG_UP:
                self.close_connection = True
                return
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    api.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def locust_command(api: Api, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", api.host, *arguments]


def clean_environment(**extra: str) -> dict[str, str]:
    """Our environment without what would configure Locust behind the test's back."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLIMA_", "LOCUST_"))}
    return kept | extra
