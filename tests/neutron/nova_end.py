"""Nova's end of Neutron's notifications: a server that keeps the events that Neutron sends it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


class Nova:
    """Takes `os-server-external-events`; *events* are those that came, in order."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._lock = Lock()
        nova = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({"versions": []})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with nova._lock:
                    nova._events += body["events"]
                self._answer(
                    {"events": [{**event, "status": "completed", "code": 200} for event in body["events"]]}
                )

            def _answer(self, value: Any) -> None:
                text = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2.1"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def events(self, port_id: str) -> list[str]:
        """Return the names of the events about that port, in order."""
        with self._lock:
            return [event["name"] for event in self._events if event.get("tag") == port_id]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
