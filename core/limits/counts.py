"""The counts that all processes share, in the first of several stores that answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Protocol

import structlog
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from core.limits.file import FileStore
from core.limits.table import TableStore

log = structlog.get_logger("synqmgr.limits")
_REST = 5.0  # seconds in which a store that failed is not asked again


class Store(Protocol):
    """Where counts are kept. One step counts and reads; whoever reads first and then writes lets too many in."""

    name: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]  # what it raises when it cannot be asked

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        """Adds to the key's window, which begins with the first and ends by itself.

        Gives the count after that and the seconds until the window ends.
        """

    def close(self) -> None: ...


class Counts:
    """Stores in the order in which they are asked."""

    def __init__(self, *stores: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.stores, self.clock = stores, clock
        self.resting: dict[str, float] = {}  # a store that failed -> when to ask it again

    def add(self, key: str, batch: int, window: int) -> tuple[int, float] | None:
        """What the first store says that answers; None when none does."""
        for store in self.stores:
            until = self.resting.get(store.name)
            if until is not None and self.clock() < until:
                continue
            try:
                counted = store.add(key, batch, window)
            except store.errors as error:
                self.resting[store.name] = self.clock() + _REST
                if until is None:
                    log.error("limit_store_failed", store=store.name, error=str(error)[:500])  # noqa: TRY400 - once
                continue
            if until is not None:
                del self.resting[store.name]
                log.warning("limit_store_answers_again", store=store.name)
            return counted
        return None

    def close(self) -> None:
        for store in self.stores:
            store.close()


def shared_counts() -> Counts:
    """The stores that the settings name: Redis if there is one, then what every installation has."""
    stores: list[Store] = []
    if settings.REDIS_URL:
        redis_store = import_string("core.limits.redis_store.RedisStore")  # not loaded by those who have none
        stores.append(redis_store(settings.REDIS_URL))
    if connection.vendor == "postgresql":
        stores.append(TableStore())
    else:
        stores.append(FileStore(settings.DATA_DIR / "limits"))
    return Counts(*stores)
