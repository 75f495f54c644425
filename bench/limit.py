"""The practical limit: WSGI, the driver and orjson doing the service's SQL, with no framework at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import psycopg
import uuid_utils

DATABASE = os.environ["DATABASE_URL"]
POSTGRESQL = DATABASE.startswith("postgres")
KEY = bytes.fromhex(os.environ["BENCH_HASH_KEY"])
NAMES = ("name", "created_at", "updated_at", "id", "fullname", "organization_id", "environment", "labels")
local = threading.local()

Start = Callable[[str, list[tuple[str, str]]], Any]


def text(column: str) -> str:
    """A column as the wire's text, made by the database."""
    if column.endswith("_at"):
        return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"{column}::text" if column.endswith("id") else column


def columns(names: Iterable[str]) -> str:
    return ", ".join(text(name) if POSTGRESQL else name for name in names)


def statement(sql: str) -> str:
    return sql.replace("?", "%s") if POSTGRESQL else sql


# The service's own: what it asks of a secret, its token, its member and its organization is no framework's doing.
LOOK_UP, ASKED = orjson.loads(os.environ["BENCH_LOOK_UP"])
TOKEN = LOOK_UP if POSTGRESQL else LOOK_UP.replace("%s", "?")
ROWS = f"SELECT {columns(NAMES)} FROM accounts_account WHERE organization_id = ?"
LIST = statement(f"{ROWS} ORDER BY name LIMIT 100")
GET = statement(f"{ROWS} AND id = ?")
INSERT = statement(
    "INSERT INTO accounts_account (name, created_at, updated_at, id, fullname, organization_id, environment, labels) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
# What a change tells: the webhooks that want it, and a row of the audit log, chained to the one before it.
END = ("sequence", "digest", "ended_at", "pruned_sequence", "pruned_digest", "mac")
CHAIN = statement(
    f"SELECT {', '.join(f'c.{name}' for name in END)}, w.id, w.environment, w.filters FROM events_auditchain c "
    "LEFT JOIN events_organizationwebhook w ON w.organization_id = c.organization_id AND w.disabled_at IS NULL "
    f"WHERE c.organization_id = ?{' FOR UPDATE OF c' if POSTGRESQL else ''}"
)
EVENT = (
    *("id", "organization_id", "sequence", "created_at", "audit_type", "action", "object_id", "token_id", "account_id"),
    *("environment", "remote_addr", "user_agent", "method", "path", "code", "status", "body"),
)
AUDIT = statement(
    f"INSERT INTO events_auditevent ({', '.join(EVENT)}, digest) VALUES ({', '.join('?' * len(EVENT))}, ?)"
)
MOVE = statement(
    "UPDATE events_auditchain SET sequence = ?, digest = ?, ended_at = ?, mac = ? WHERE organization_id = ?"
)
BOTH = f"WITH moved AS ({MOVE}) {AUDIT}"  # where the database can do two things in one statement


def connect() -> Any:
    """This thread's connection, as durable as the service's."""
    if POSTGRESQL:
        connection = psycopg.connect(DATABASE, autocommit=True)
        connection.prepare_threshold = 0
        return connection.cursor(binary=True)
    lite = sqlite3.connect(DATABASE.removeprefix("sqlite:///"), timeout=20, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        lite.execute(f"PRAGMA {pragma}")
    return lite.cursor()


def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    if not hasattr(local, "cursor"):
        local.cursor = connect()
    local.cursor.execute(sql, values)
    rows: list[tuple[Any, ...]] = local.cursor.fetchall() if sql.startswith("SELECT") else []
    return rows


def now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def asking(header: str) -> tuple[str, str] | None:
    """The organization and the token of a request."""
    secret = header.removeprefix("Bearer ")
    asked = {"public_id": secret[4:20], "kind": "access"}
    rows = run(TOKEN, *[asked[name] for name in ASKED])
    digest = hmac.digest(KEY, secret.encode(), hashlib.sha256)
    if not rows or not hmac.compare_digest(digest, rows[0][0]) or rows[0][1] <= now():
        return None
    return str(rows[0][4]), str(rows[0][3])


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    account = dict(zip(NAMES, row, strict=True))
    account["labels"] = orjson.Fragment(account["labels"])
    return account


def create(organization_id: str, token_id: str, environ: dict[str, Any]) -> Any:
    given = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    moment = now()
    row = (
        given["name"],
        moment,
        moment,
        str(uuid_utils.uuid7()),
        given["fullname"],
        organization_id,
        given["environment"],
        orjson.dumps(given["labels"]).decode(),
    )
    run("BEGIN" if POSTGRESQL else "BEGIN IMMEDIATE")
    try:
        run(INSERT, *row)
    except (sqlite3.IntegrityError, psycopg.IntegrityError):  # the name is taken
        run("ROLLBACK")
        return None
    audit(organization_id, token_id, row[3], given, environ)
    run("COMMIT")
    return {"account": shown(row)}


def audit(organization_id: str, token_id: str, account_id: str, given: Any, environ: dict[str, Any]) -> None:
    *end, mac = run(CHAIN, organization_id)[0][: len(END)]
    holds = hmac.compare_digest(
        bytes(mac), seal(organization_id, *end)
    )  # not so at the first: the service's key is another
    sequence, before, moment = end[0] + 1, bytes(end[1]) if holds else b"broken", now()
    event = (
        *(str(uuid_utils.uuid7()), organization_id, sequence, moment, "API", "accounts.create", account_id, token_id),
        *(account_id, given["environment"], environ["REMOTE_ADDR"], environ.get("HTTP_USER_AGENT", "")),
        *("POST", environ["PATH_INFO"], "200", "done", orjson.dumps(given).decode()),
    )
    digest = hmac.digest(KEY, before + orjson.dumps(event), hashlib.sha256)
    moved = (sequence, digest, moment, seal(organization_id, sequence, digest, moment, *end[3:]), organization_id)
    if POSTGRESQL:
        run(BOTH, *moved, *event, digest)
    else:
        run(MOVE, *moved)
        run(AUDIT, *event, digest)


def seal(*values: Any) -> bytes:
    """The keyed hash of a chain's row."""
    texts = [value.hex() if isinstance(value, bytes | memoryview) else value for value in values]
    return hmac.digest(KEY, orjson.dumps(texts), hashlib.sha256)


def application(environ: dict[str, Any], start: Start) -> list[bytes]:
    known = asking(environ.get("HTTP_AUTHORIZATION", ""))
    content: Any
    if known is None:
        start("401 Unauthorized", [("Content-Length", "0")])
        return [b""]
    organization_id, token_id = known
    if environ["REQUEST_METHOD"] == "POST":
        content = create(organization_id, token_id, environ)
    elif environ["PATH_INFO"] == "/v1/accounts":
        urllib.parse.parse_qs(environ["QUERY_STRING"])
        content = [shown(row) for row in run(LIST, organization_id)]
    else:
        found = run(GET, organization_id, environ["PATH_INFO"].rpartition("/")[2])
        content = shown(found[0]) if found else None
    body = orjson.dumps({"result": content})
    status = "200 OK" if content is not None else "404 Not Found"
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
