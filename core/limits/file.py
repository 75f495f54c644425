"""Counts in a file that all processes of one machine have in memory. It never grows and need not survive anything."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

_SLOT = struct.Struct("<16sdQ")  # which key, when its window ends, its count
_ROW = 8 * _SLOT.size  # a key may be in any slot of one row


class FileStore:
    """A table of slots under one lock. A key without a free slot takes that of the key counted least."""

    name: ClassVar[str] = "file"
    errors: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError)

    def __init__(self, path: Path, *, rows: int = 2048, clock: Callable[[], float] = time.time) -> None:
        self.path, self.rows, self.clock = path, rows, clock
        self.opened: tuple[int, mmap.mmap] | None = None

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        if self.opened is None:
            self.opened = self.open()
        file, memory = self.opened
        digest = blake2b(key.encode(), digest_size=16).digest()
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            now = self.clock()
            place = self.place(memory, digest, now)
            known, ends, count = _SLOT.unpack_from(memory, place)
            # An end beyond any window's is that of a clock that was set back since.
            if known != digest or not now < ends < now + 2 * window:
                ends, count = now + window, 0
            _SLOT.pack_into(memory, place, digest, ends, count + batch)
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
        return count + batch, ends - now

    def place(self, memory: mmap.mmap, digest: bytes, now: float) -> int:
        """Where the key's slot is: its own, else one whose window has ended, else the one counted least."""
        row = int.from_bytes(digest[:4]) % self.rows * _ROW
        found = memory.find(digest, row, row + _ROW)
        if found >= 0:
            return found

        def worth(place: int) -> int:
            _, ends, count = _SLOT.unpack_from(memory, place)
            return int(count) if ends > now else 0

        return min(range(row, row + _ROW, _SLOT.size), key=worth)

    def open(self) -> tuple[int, mmap.mmap]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self.rows * _ROW
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_size < size:
                os.pwrite(file, bytes(size), 0)  # not only made longer: a full disk says so here, not by a signal later
            memory = mmap.mmap(file, size)  # a ValueError if not all of it was written
            fcntl.flock(file, fcntl.LOCK_UN)
        except (OSError, ValueError):
            os.close(file)
            raise
        return file, memory

    def close(self) -> None:
        if self.opened is not None:
            file, memory = self.opened
            self.opened = None
            memory.close()
            os.close(file)
