"""Limits from the inside: the table, subjects, stores of counts and leases, by clocks of the tests' own."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from redis import Redis, RedisError

from core.limits.counts import Counts, Store
from core.limits.file import FileStore
from core.limits.limiter import Limiter, Verdict
from core.limits.policies import Policy, address_subject, read_limits
from core.limits.redis_store import RedisStore
from core.limits.table import TableStore
from core.rowsecurity import as_owner
from tests.server import free_port

REDIS = os.environ.get("SYNQMGR_REDIS_URL", "redis://127.0.0.1:6379/0")
SECONDS_HELD = 30  # at most, where a test is about to fail
TABLE = {"token": ("token", 100, 60), "stranger": ("address", 10, 60)}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> Iterator[FileStore]:
    store = FileStore(tmp_path / "limits", clock=clock)
    yield store
    store.close()


@pytest.fixture
def table(db: None) -> Iterator[TableStore]:
    if connection.vendor != "postgresql":
        pytest.skip("the table is PostgreSQL's")
    empty_table()
    store = TableStore()
    yield store
    store.close()


def empty_table() -> None:
    """Its rows outlive a test: they are counted apart from the test's transaction."""
    store = TableStore()
    with store.database.cursor() as cursor:
        cursor.execute("DELETE FROM core_limit")
    store.close()


@pytest.fixture
def redis() -> Iterator[RedisStore]:
    try:
        Redis.from_url(REDIS, socket_connect_timeout=0.5).ping()
    except RedisError:
        pytest.skip(f"no Redis answers at {REDIS}")
    store = RedisStore(REDIS)
    yield store
    store.close()


def take(limiter: Limiter, policy: Policy, subject: str = "one") -> Verdict:
    verdict = limiter.take(policy, subject)
    assert verdict is not None
    return verdict


# --- the table -----------------------------------------------------------------------------------


def test_read_limits__changes__replace_rows() -> None:
    policies = read_limits(TABLE, " token=5/3600 , stranger=off ")
    assert policies["token"] == Policy("token", "token", 5, 3600)
    assert policies["stranger"].limit == 0
    assert {policy.limit for policy in read_limits(TABLE, "off").values()} == {0}
    assert read_limits(TABLE)["token"].limit == 100


@pytest.mark.parametrize(
    "changes",
    ["token", "token=0/60", "token=5", "token=-5/60", "token=5/0", "tokens=5/60", "off,token=5/60", "token=\uff15/6"],
)
def test_read_limits__changes_malformed__are_refused_by_name(changes: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="SYNQMGR_LIMITS"):
        read_limits(TABLE, changes)


@pytest.mark.parametrize(
    "address, subject",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:8443", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unknown", "unknown"),
        ("_hidden", "unknown"),
        ("192.0.2.007", "unknown"),
        ("[", "unknown"),
        (":", "unknown"),
        ("\x00\ud800" * 9000, "unknown"),
        ("١٩٢.0.2.7", "unknown"),
    ],
)
def test_address_subject__any_spelling__is_one_caller(address: str, subject: str) -> None:
    assert address_subject(address) == subject


# --- stores --------------------------------------------------------------------------------------


def test_file__window__begins_with_the_first_and_ends_by_itself(file: FileStore, clock: Clock) -> None:
    assert file.add("a", 1, 60) == (1, 60)
    clock.now += 59
    assert file.add("a", 2, 60) == (3, 1)
    assert file.add("b", 1, 60) == (1, 60)
    clock.now += 1
    assert file.add("a", 1, 60) == (1, 60)


def test_file__clock_set_back__begins_a_new_window(file: FileStore, clock: Clock) -> None:
    file.add("a", 50, 60)
    clock.now -= 86_400
    assert file.add("a", 1, 60) == (1, 60)


def test_file__opened_by_two__is_one_count(tmp_path: Path) -> None:
    one, two = FileStore(tmp_path / "x" / "limits"), FileStore(tmp_path / "x" / "limits")
    assert [store.add("a", 1, 60)[0] for store in (one, two, one, two)] == [1, 2, 3, 4]
    one.close()
    assert one.add("a", 1, 60)[0] == 5
    assert (tmp_path / "x" / "limits").stat().st_mode & 0o777 == 0o600
    for store in (one, two):
        store.close()


def test_file__more_subjects_than_slots__keeps_its_size_and_who_is_counted_most(tmp_path: Path, clock: Clock) -> None:
    store = FileStore(tmp_path / "limits", rows=1, clock=clock)
    for _ in range(5):
        store.add("busy", 1, 60)
    size = (tmp_path / "limits").stat().st_size
    for number in range(1000):
        assert store.add(f"passing {number}", 1, 60)[0] == 1
    assert store.add("busy", 1, 60)[0] == 6
    assert (tmp_path / "limits").stat().st_size == size
    clock.now += 60
    assert [store.add(f"later {number}", 1, 60)[0] for number in range(8)] == [1] * 8
    assert [store.add(f"later {number}", 1, 60)[0] for number in range(8)] == [2] * 8
    store.close()


def test_table__window__begins_with_the_first_and_ends_by_itself(table: TableStore) -> None:
    count, seconds = table.add("a", 2, 60)
    assert count == 2
    assert seconds == pytest.approx(60)
    age(table, 50)
    count, seconds = table.add("a", 1, 60)
    assert count == 3
    assert 9 < seconds <= 10
    for seconds_ago in (10, -86_400):  # it has ended; the clock has been set back since
        age(table, seconds_ago)
        count, seconds = table.add("a", 1, 60)
        assert count == 1
        assert seconds == pytest.approx(60)


def test_table__windows_that_ended__are_removed_on_the_way(table: TableStore) -> None:
    for number in range(250):
        table.add(f"old {number}", 1, 60)
    age(table, 61)
    for number in range(20):
        table.add(f"new {number}", 1, 60)
    with table.database.cursor() as cursor:
        cursor.execute("SELECT count(*) FILTER (WHERE key LIKE 'old%%'), count(*) FROM core_limit")
        assert cursor.fetchone() == (0, 20)
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT key FROM core_limit WHERE ends <= 1 ORDER BY ends LIMIT 5")
        assert "core_limit_ends" in str(cursor.fetchall())


def test_table__connection_died_unused__is_replaced(table: TableStore) -> None:
    table.add("a", 1, 60)
    with as_owner(), connection.cursor() as cursor, table.database.cursor() as own:
        own.execute("SELECT pg_backend_pid()")
        cursor.execute("SELECT pg_terminate_backend(%s)", own.fetchone())
    assert table.add("a", 1, 60)[0] == 2


def test_table__row_locked_by_another__is_not_waited_for(table: TableStore) -> None:
    table.add("a", 1, 60)
    if not table.database.is_tenant:
        pytest.skip("the session may be a pooler's")
    other = TableStore()
    with other.database.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE core_limit SET count = 7")
        assert Counts(table).add("a", 1, 60) is None
        cursor.execute("COMMIT")
    other.close()
    assert table.add("a", 1, 60)[0] == 8


def age(table: TableStore, seconds: int) -> None:
    with table.database.cursor() as cursor:
        cursor.execute("UPDATE core_limit SET ends = ends - %s", [seconds])


def test_redis__window__begins_with_the_first_and_ends_by_itself(redis: RedisStore) -> None:
    key = f"test {uuid.uuid4()}"
    assert redis.add(key, 2, 60) == (2, 60)
    count, seconds = redis.add(key, 1, 60)
    assert count == 3
    assert 59 < seconds <= 60
    redis.client.pexpire(f"synqmgr:limit:{key}", 0)
    assert redis.add(key, 1, 60) == (1, 60)
    redis.client.delete(f"synqmgr:limit:{key}")


def test_counts__first_store_away__are_the_nexts(file: FileStore, clock: Clock) -> None:
    away = RedisStore(f"redis://127.0.0.1:{free_port()}/0")
    counts = Counts(away, file, clock=clock)
    assert [counts.add("a", 1, 60) for _ in range(3)] == [(1, 60), (2, 60), (3, 60)]
    clock.now += 30
    assert counts.add("a", 1, 60) == (4, 30)
    assert counts.resting.keys() == {"redis"}


def test_limiter__no_store_answers__lets_pass(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    broken = FileStore(tmp_path / "taken" / "limits")
    limiter = Limiter(lambda: Counts(broken))
    assert [limiter.take(Policy("token", "token", 1, 60), "one") for _ in range(3)] == [None] * 3


# --- leases --------------------------------------------------------------------------------------


def limiters(path: Path, clock: Clock, number: int) -> list[Limiter]:
    """As many processes, on one machine."""
    return [Limiter(lambda: Counts(FileStore(path / "limits", clock=clock)), clock) for _ in range(number)]


def test_limiter__limit_reached__refuses_until_the_window_ends(tmp_path: Path, clock: Clock) -> None:
    (limiter,) = limiters(tmp_path, clock, 1)
    policy = Policy("token", "token", 3, 60)
    verdicts = [take(limiter, policy) for _ in range(5)]
    assert [(v.is_allowed, v.remaining, v.seconds) for v in verdicts] == [
        (True, 2, 60), (True, 1, 60), (True, 0, 60), (False, 0, 60), (False, 0, 60),
    ]  # fmt: skip
    assert take(limiter, policy, "another").is_allowed
    assert take(limiter, Policy("other", "token", 3, 60)).is_allowed
    clock.now += 59.5
    assert (take(limiter, policy).is_allowed, take(limiter, policy).seconds) == (False, 1)
    clock.now += 0.5
    assert take(limiter, policy).remaining == 2


@pytest.mark.parametrize("limit", [1, 5, 199, 1000, 20_000])
def test_limiter__several_processes__let_exactly_the_limit_through(tmp_path: Path, clock: Clock, limit: int) -> None:
    several = limiters(tmp_path, clock, 4)
    policy = Policy("token", "token", limit, 60)
    for _ in range(2):
        allowed = [take(several[number % 4], policy).is_allowed for number in range(limit + 500)]
        assert allowed.count(True) == limit
        clock.now += 60


@pytest.mark.parametrize("limit", [180, 1000, 20_000])
def test_limiter__process_falls_silent__withholds_a_hundredth_at_most(tmp_path: Path, clock: Clock, limit: int) -> None:
    silent, busy = limiters(tmp_path, clock, 2)
    policy = Policy("token", "token", limit, 60)
    assert take(silent, policy).is_allowed
    allowed = [take(busy, policy).is_allowed for _ in range(limit + 100)]
    assert limit - limit // 100 - 1 <= allowed.count(True) <= limit - 1
    assert limit > 200 or allowed.count(True) == limit - 1


def test_limiter__large_limit__seldom_asks_the_store(tmp_path: Path, clock: Clock) -> None:
    asked = CountingStore(FileStore(tmp_path / "limits", clock=clock))
    limiter = Limiter(lambda: Counts(asked), clock)
    for _ in range(6000):
        assert take(limiter, Policy("token", "token", 6000, 60)).is_allowed
    assert asked.calls < 600
    before = asked.calls
    for _ in range(1000):
        assert not take(limiter, Policy("token", "token", 6000, 60)).is_allowed
    assert asked.calls == before


def test_limiter__more_subjects_than_it_keeps__forgets_none_of_their_counts(tmp_path: Path, clock: Clock) -> None:
    (limiter,) = limiters(tmp_path, clock, 1)
    policy = Policy("stranger", "address", 1, 60)
    assert take(limiter, policy, "first").is_allowed
    for number in range(10_500):
        take(limiter, policy, f"passing {number}")
    assert len(limiter.leases) == 10_000
    assert not take(limiter, policy, "first").is_allowed


def test_limiter__busy_subject_among_many__keeps_its_lease(tmp_path: Path, clock: Clock) -> None:
    (limiter,) = limiters(tmp_path, clock, 1)
    busy, passing = Policy("token", "token", 100_000, 60), Policy("stranger", "address", 1, 60)
    for number in range(30_000):
        take(limiter, passing, f"passing {number}")
        if number % 5000 == 0:
            remaining = take(limiter, busy).remaining
    assert remaining == 100_000 - 6


def test_limiter__store_is_slow_for_another__does_not_wait(tmp_path: Path, clock: Clock) -> None:
    held = HeldStore(FileStore(tmp_path / "limits", clock=clock))
    limiter, policy = Limiter(lambda: Counts(held), clock), Policy("token", "token", 1000, 60)
    take(limiter, policy, "leased")
    slow = threading.Thread(target=take, args=(limiter, policy, "slow"))
    slow.start()
    assert held.is_asked.wait(SECONDS_HELD)
    assert take(limiter, policy, "leased").is_allowed
    assert slow.is_alive()
    held.may_answer.set()
    slow.join()
    assert take(limiter, policy, "slow").remaining == 998


def test_limiter__threads_at_once__let_exactly_the_limit_through(tmp_path: Path) -> None:
    asked = CountingStore(FileStore(tmp_path / "limits"))
    limiter, policy, allowed = Limiter(lambda: Counts(asked)), Policy("token", "token", 1000, 3600), list[bool]()

    def work() -> None:
        allowed.extend(take(limiter, policy).is_allowed for _ in range(250))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), allowed.count(True)) == (2000, 1000)
    assert asked.calls < 600


class CountingStore:
    """A store that says how often it was asked."""

    name: ClassVar[str] = FileStore.name
    errors: ClassVar[tuple[type[Exception], ...]] = FileStore.errors

    def __init__(self, store: Store) -> None:
        self.store, self.calls = store, 0

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        self.calls += 1
        return self.store.add(key, batch, window)

    def close(self) -> None:
        self.store.close()


class HeldStore(CountingStore):
    """A store that keeps one subject waiting."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        if key == "token slow":
            self.is_asked.set()
            self.may_answer.wait(SECONDS_HELD)
        return super().add(key, batch, window)


def test_verdict__headers__are_structured_fields() -> None:
    headers = Verdict(Policy("token", "token", 6000, 60), True, 5999, 58).headers()
    assert headers["RateLimit-Policy"] == '"token";q=6000;w=60'
    assert headers["RateLimit"] == '"token";r=5999;t=58'
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("6000", "5999")
    assert int(headers["X-RateLimit-Reset"]) > 1_700_000_000
