#!/usr/bin/env python3
"""Stands in for `transformers serve` at the border: its command line, its health, its answer, and ways to go wrong.

The model folder's fake.json says how: {"die": text} at start, {"die_after": n} requests.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_serve, model, *options = sys.argv[1:]
given = dict(zip(options[::2], options[1::2], strict=True))
ways = json.loads((Path(model) / "fake.json").read_text())
seen = []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Quiet."""

    def do_GET(self):
        self._json(200 if self.path == "/health" else 404, {"status": "ok"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen.append(body)
        Path("seen.json").write_text(json.dumps(seen))
        if body["model"] != model:
            self._json(400, {"detail": "pinned"})
            return
        message = {"role": "assistant", "content": "Hello from the fake"}
        self._json(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        if len(seen) >= ways.get("die_after", 10**9):
            os._exit(3)

    def _json(self, status, data):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if "die" in ways:
    sys.exit(ways["die"])
Path("environment.json").write_text(json.dumps(dict(os.environ)))
ThreadingHTTPServer((given["--host"], int(given["--port"])), Handler).serve_forever()
