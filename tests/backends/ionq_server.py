"""IonQ's REST API v0.4 on the loopback interface: it simulates what it is sent, and misbehaves on command.

Follows https://docs.ionq.com/api-reference/v0.4 as far as a client that submits gate circuits goes. A fault
is spoiled into the next request that it matches; `POST /control` orders faults, `GET /control` tells which
jobs were accepted. As a program, in the folder of the tests:
python -m backends.ionq_server --port-file PATH [--seed N] [--control JSON].
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from backends.ionq_service import BACKENDS, TOKEN, RefusedError, Service, describe

_JOB = r"/v0\.4/jobs/(?P<id>[^/]+)"
_ROUTES = (
    ("POST", r"/v0\.4/jobs", "submit"),
    ("GET", r"/v0\.4/jobs", "list"),
    ("GET", _JOB, "status"),
    ("DELETE", _JOB, "delete"),
    ("GET", _JOB + r"/results/probabilities(/aggregated)?", "results"),
    ("PUT", _JOB + r"/status/cancel", "cancel"),
    ("GET", r"/v0\.4/backends", "backends"),
    ("GET", r"/v0\.4/backends/(?P<id>[^/]+)", "backend"),
    ("GET", r"/v0\.4/backends/(?P<id>[^/]+)/characterizations", "characterizations"),
)


class Handler(BaseHTTPRequestHandler):
    """Turns requests into calls of the service, and spoils the answers that a fault was ordered for."""

    server: IonQServer

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = self.server.service
        if path.path == "/control":
            self.reply(200, service.control(json.loads(body or b"{}")))
            return
        for method, pattern, verb in _ROUTES:
            matched = re.fullmatch(pattern, path.path)
            if matched and method == self.command:
                query = {name: ",".join(values) for name, values in parse_qs(path.query).items()}
                self.serve(verb, matched.groupdict().get("id", ""), query, body)
                return
        self.reply(404, {"statusCode": 404, "error": "Not Found", "message": path.path})

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def serve(self, verb: str, name: str, query: dict[str, str], body: bytes) -> None:
        service = self.server.service
        with service.lock:
            fault = service.next_fault(verb)
            kind = fault.kind if fault else ""
            service.expired |= kind == "expire"
            code, content = 0, None
            if fault is None or fault.serves:
                code, content = self.answer(verb, name, query, body, kind)
        if fault is None or kind in ("expire", "fail", "stuck"):
            self.reply(code, content)
        elif kind in ("truncate", "garble"):
            self.reply(code, content, spoiled=kind)
        elif kind in ("hang", "drop"):
            time.sleep(fault.seconds if kind == "hang" else 0)
            self.drop()
        else:
            self.reply(int(kind), {"statusCode": int(kind), "error": "ordered", "message": "try again later"})

    def answer(self, verb: str, name: str, query: dict[str, str], body: bytes, fate: str) -> tuple[int, Any]:
        service = self.server.service
        try:
            if verb == "backends":
                return 200, [describe(each) for each in BACKENDS]
            if verb == "backend":
                return 200, describe(name)
            service.authorize(self.headers.get("Authorization") or "")
            if verb == "submit":
                return 201, service.submit(json.loads(body), fate)
            if verb == "list":
                return 200, service.page(query)
            if verb == "characterizations":
                return 200, {"characterizations": []}
            act = {"status": service.poll, "results": service.results}
            act |= {"cancel": service.cancel, "delete": service.delete}
            return 200, act[verb](name)
        except RefusedError as refusal:
            return refusal.code, {"statusCode": refusal.code, "error": "Refused", "message": str(refusal)}
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"statusCode": 400, "error": "Bad Request", "message": repr(error)}

    def reply(self, code: int, content: Any, spoiled: str = "") -> None:
        text = json.dumps(content).encode()
        sent = text[: len(text) // 2] if spoiled else text
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent if spoiled == "garble" else text)))
        if code in (429, 503):
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(sent)

    def drop(self) -> None:
        """Resets the connection without a word."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence: what was asked is counted in the service."""


class IonQServer(ThreadingHTTPServer):
    """The service behind a free port of the loopback interface; a context manager that serves in a thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed: int = 0, token: str = TOKEN) -> None:
        self.service = Service(seed, token)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """What IONQ_API_URL has to be."""
        return f"http://127.0.0.1:{self.server_port}/v0.4"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: clients that are killed in the middle of a request are what this server is for."""

    def __enter__(self) -> IonQServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *caught: object) -> None:
        self.shutdown()
        self.server_close()


def main() -> None:
    """Serves until killed; the port file appears whole, once requests are taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", type=json.loads, default={}, help="what POST /control takes")
    chosen = parser.parse_args()
    server = IonQServer(chosen.seed)
    server.service.control(chosen.control)
    written = chosen.port_file.with_suffix(f".{os.getpid()}")
    written.write_text(str(server.server_port))
    written.replace(chosen.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
