"""Counts in Redis, which removes ended windows by itself."""

from __future__ import annotations

from typing import ClassVar

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

_ADD = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    left = ARGV[2]
end
return {count, left}
"""
_PATIENCE = 0.25  # seconds: a count is not worth a longer wait


class RedisStore:
    """A script is run at once or not at all, so it counts as one step."""

    name: ClassVar[str] = "redis"
    errors: ClassVar[tuple[type[Exception], ...]] = (RedisError, OSError)

    def __init__(self, url: str) -> None:
        again = Retry(NoBackoff(), 1)  # once, for a connection that died while nobody used it
        self.client = Redis.from_url(url, retry=again, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
        self.script = self.client.register_script(_ADD)

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        count, left = self.script(keys=[f"synqmgr:limit:{key}"], args=[batch, window * 1000])
        return int(count), int(left) / 1000

    def close(self) -> None:
        self.client.close()
