"""The moment by which a chain of waits must be over."""

from __future__ import annotations

import dataclasses
import time
from typing import Self


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock that bounds a chain of waits, however each is cut up."""

    ends: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(time.monotonic() + seconds)

    def sooner(self, seconds: float) -> Deadline:
        return Deadline(min(self.ends, time.monotonic() + seconds))

    def remaining(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
