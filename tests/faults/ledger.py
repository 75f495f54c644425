"""The ledger outside the system: what clients were told, and what a real receiver received."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Ledger:
    """Lines appended to a file and synced, as they happen."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}  # idempotency key -> id of the account
        self.received: Counter[tuple[str, str]] = Counter()  # (webhook-id, account's id) -> times

    def acknowledge(self, key: str, account_id: str) -> None:
        with self._lock:
            self._write({"acknowledged": account_id, "key": key})
            self.acknowledged[key] = account_id

    def receive(self, delivery: str, account_id: str) -> None:
        with self._lock:
            self._write({"received": account_id, "delivery": delivery})
            self.received[delivery, account_id] += 1

    def _write(self, line: dict[str, str]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclasses.dataclass
class Receiver:
    """An HTTP server that takes deliveries, and refuses each seventh the first time, so that it is tried again."""

    ledger: Ledger

    def __post_init__(self) -> None:
        receiver = self
        self.seen: dict[str, int] = {}  # webhook-id -> its number

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                is_new = self.headers["webhook-id"] not in receiver.seen
                number = receiver.seen.setdefault(self.headers["webhook-id"], len(receiver.seen) + 1)
                status = 500 if is_new and number % 7 == 0 else 200
                if status == 200:
                    receiver.ledger.receive(self.headers["webhook-id"], body["account"]["id"])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"
