"""Claiming a key, settling it with the effect, and answering again."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.http.request import HttpHeaders
from django.utils import timezone

from core.columns import new_id
from core.crypto.hashing import keyed_hash, same
from core.crypto.sealing import Place, open_sealed, seal
from core.errors import ConflictError, ForbiddenError, InvalidError, Parameter, ProblemError
from core.idempotency.models import IdempotentRequest
from core.pruning import delete_old
from core.tenancy import current_scope

HEADER = "Idempotency-Key"
IN_META = str(HttpHeaders.to_wsgi_name(HEADER))
KEPT_FOR = dt.timedelta(hours=24)
UNDER_WAY_FOR = dt.timedelta(seconds=30)  # then another may take over; whoever is late changes nothing
KEY_PATTERN = r"[!-~](?:[ -~]{0,253}[!-~])?"


class KeyReusedError(ProblemError):
    """The key was used before, for another request."""

    status = 422
    slug = "idempotency-key-reused"
    remedy = "Use a new key for a new request; send the same body again to get the same answer."


class RequestUnderWayError(ConflictError):
    """The first request with this key has not been answered yet."""

    slug = "request-under-way"
    remedy = "Wait a moment and send the same request again."


@dataclasses.dataclass
class Once:
    """One request's hold on its key."""

    row: IdempotentRequest
    reach: str  # of the token when the request began
    kept: tuple[bytes, int, str] | None = None  # the answer

    def settle(self, content: bytes, status: int = 200, etag: str = "") -> None:
        """Keeps the answer, in the transaction of the effect. Raises when another request holds the key by now."""
        if self.kept == (content, status, etag):
            return
        sealed = seal(_place(self.row), orjson.dumps([status, etag, content.decode(), self.reach]))
        mine = IdempotentRequest.objects.unnarrowed().filter(pk=self.row.pk, claim_id=self.row.claim_id)
        if not mine.update(sealed_answer=sealed, status=status):
            raise RequestUnderWayError("another request with this key was made meanwhile")
        self.kept = (content, status, etag)

    def release(self) -> None:
        """The request came to nothing: whoever sends it again tries anew."""
        mine = IdempotentRequest.objects.unnarrowed().filter(pk=self.row.pk, claim_id=self.row.claim_id)
        mine.filter(sealed_answer=None).delete()


def begin(*, key: str, token_id: str, request: str, body: bytes) -> Once | HttpResponse:
    """The hold on a key that is new, or the answer that the first request with it got."""
    if re.fullmatch(KEY_PATTERN, key) is None:
        at = Parameter("header", HEADER, key[:200])
        raise InvalidError(f"`{HEADER}` must be 1 to 255 visible ASCII characters", at=at)
    fingerprint = keyed_hash(f"{request}\n{body.hex()}", "idempotency")
    try:
        with transaction.atomic():
            row = IdempotentRequest.in_scope(token_id=token_id, key=key, fingerprint=fingerprint)
            row.save(force_insert=True)
        return Once(row, _reach())
    except IntegrityError:
        return _again(key, token_id, fingerprint)


def _again(key: str, token_id: str, fingerprint: bytes) -> Once | HttpResponse:
    row = IdempotentRequest.objects.unnarrowed().filter(token_id=token_id, key=key).first()
    if row is None:
        raise RequestUnderWayError("the first request with this key is just ending", headers={"Retry-After": "1"})
    now = timezone.now()
    is_old = row.claimed_at < now - (UNDER_WAY_FOR if row.sealed_answer is None else KEPT_FOR)
    if is_old:
        return _take_over(row, fingerprint, now)
    if not same(bytes(row.fingerprint), fingerprint):
        raise KeyReusedError("this key was used for another request", at=Parameter("header", HEADER, key))
    if row.sealed_answer is None:
        raise RequestUnderWayError("the first request with this key is under way", headers={"Retry-After": "1"})
    status, etag, content, reach = orjson.loads(open_sealed(_place(row), bytes(row.sealed_answer)))
    if reach != _reach():
        raise ForbiddenError("the token is good for another part of the organization than when this key was used")
    headers = {"Idempotent-Replayed": "true"} | ({"ETag": etag} if etag else {})
    answer = HttpResponse(content, status=status, headers=headers)
    if content:
        answer["Content-Type"] = "application/json"
    return answer


def _reach() -> str:
    """The part of the organization that the scope in force sees, in one spelling."""
    groups = [
        sorted(
            orjson.dumps([sorted(each) if each is not None else None for each in dataclasses.astuple(n)]).decode()
            for n in group
        )
        for group in current_scope().groups
    ]
    return orjson.dumps(sorted(groups)).decode()


def _take_over(row: IdempotentRequest, fingerprint: bytes, now: dt.datetime) -> Once:
    """The key of a request that died, or was answered long ago."""
    held, row.claim_id = row.claim_id, new_id()
    changed = (
        IdempotentRequest.objects.unnarrowed()
        .filter(pk=row.pk, claim_id=held, status=row.status, claimed_at=row.claimed_at)
        .update(claim_id=row.claim_id, claimed_at=now, fingerprint=fingerprint, sealed_answer=None, status=None)
    )
    if not changed:
        raise RequestUnderWayError("the first request with this key is under way", headers={"Retry-After": "1"})
    return Once(row, _reach())


def prune_requests(*, before: dt.datetime) -> int:
    """Deletes keys used before a time, which must lie at least a day back."""
    return delete_old(IdempotentRequest, claimed_at__lt=before)


def _place(row: Any) -> Place:
    return Place(row.organization_id, "idempotent request", row.id, row.key, 1)
