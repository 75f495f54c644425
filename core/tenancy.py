"""Tenancy: the organization and narrowing in scope, and the managers that refuse to work without one."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q

from core.scope import IN_FORCE

M = TypeVar("M", bound=models.Model, covariant=True)


class NoScopeError(RuntimeError):
    """A tenant's table was queried outside every scope: a bug, never an answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Narrowing:
    """A part of an organization. `None` leaves a dimension open; what is given must all pass.

    An account passes `labels` when it carries one of them. `organizations` are the ids of the organization
    itself and of those below it.
    """

    organizations: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    environments: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    labels: frozenset[str] | None = None

    def __bool__(self) -> bool:
        return self != EVERYTHING

    def reaches_accounts(self) -> bool:
        """Whether only some of the accounts pass."""
        return not (self.accounts is None and self.environments is None and self.labels is None)

    def lies_within(self, other: Narrowing) -> bool:
        """Whether nothing passes this one alone, whatever becomes of the rows."""
        for dimension in dataclasses.fields(self):
            mine, bound = getattr(self, dimension.name), getattr(other, dimension.name)
            if bound is not None and (mine is None or not mine <= bound):
                return False
        return True


EVERYTHING = Narrowing()


class Scope(NamedTuple):
    """One organization, or a part of it: of each group, one narrowing at least must pass.

    `organization_id` is None only for code that says why it is unscoped.
    """

    organization_id: Any
    groups: tuple[tuple[Narrowing, ...], ...] = ()

    def reaches_accounts(self) -> bool:
        """Whether only some of the accounts pass."""
        return any(all(narrowing.reaches_accounts() for narrowing in group) for group in self.groups)

    def reaches_category(self, category: str) -> bool:
        """Whether integrations of a category may pass."""
        return all(any(n.categories is None or category in n.categories for n in group) for group in self.groups)


NOBODYS = "00000000-0000-0000-0000-000000000000"  # the organization of a scope in which nothing is

_scope: ContextVar[Scope | None] = IN_FORCE


def current_scope() -> Scope:
    """The scope in force; raises when there is none."""
    scope = _scope.get()
    if scope is None:
        raise NoScopeError("no organization in scope: open one with core.tenancy.scoped(...)")
    return scope


class scoped:
    """Puts a scope in force (or, with None, takes the one in force away)."""

    __slots__ = ("scope", "token")

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    def __enter__(self) -> None:
        self.token = _scope.set(self.scope)

    def __exit__(self, *raised: object) -> None:
        _scope.reset(self.token)


@contextlib.contextmanager
def unscoped(why: str) -> Iterator[None]:
    """The one loud escape: every organization's rows are visible. `why` is for the reader and the test of callers."""
    if not why:
        raise ValueError("say why every organization's rows must be visible")
    with scoped(Scope(None)):
        yield


def scope_for_change(model: type[TenantModel], scope: Scope) -> Scope | None:
    """The part of a scope in which rows of a table may be changed; None when there is none.

    What is shared beyond a narrowing's part is not changed by way of it.
    """
    if not scope.groups:
        return scope
    groups = tuple(tuple(n for n in group if _is_within(model, n)) for group in scope.groups)
    return Scope(scope.organization_id, groups) if all(groups) else None


def _is_within(model: type[TenantModel], narrowing: Narrowing) -> bool:
    if narrowing.categories is not None and "categories" not in model.narrowed_by:
        return False
    return not narrowing.reaches_accounts() or model.account_column is not None or "accounts" in model.narrowed_by


def enter(scope: Scope) -> None:
    """Sets the scope of the request in progress; `scoped(None)` around the request takes it back."""
    _scope.set(scope)


def condition(model: type[models.Model], scope: Scope) -> Q:
    """The rows of a tenant table that a scope sees, as one condition."""
    if scope.organization_id is None:
        return Q()
    q = Q(**{getattr(model, "tenant_column", "organization_id"): scope.organization_id})
    for group in scope.groups:
        parts = [_part(model, scope.organization_id, narrowing) for narrowing in group]
        if all(parts):  # a table that one of them leaves whole is whole
            q &= functools.reduce(operator.or_, parts)
    return q


def _part(model: type[models.Model], organization_id: Any, narrowing: Narrowing) -> Q:
    """The rows of a tenant table that pass a narrowing; no condition when all do."""
    q, paths = Q(), getattr(model, "narrowed_by", {})
    if narrowing.organizations is not None and "organizations" not in paths:
        q = Q() if organization_id in narrowing.organizations else Q(pk__in=[])
    if (column := getattr(model, "account_column", None)) is not None and narrowing.reaches_accounts():
        accounts = apps.get_model(settings.ACCOUNT_MODEL)
        reached = accounts._base_manager.filter(condition(accounts, Scope(organization_id, ((narrowing,),))))
        q &= Q(**{f"{column}__in": reached.values("pk")})
    for dimension in ("organizations", "accounts", "environments", "categories"):
        allowed, path = getattr(narrowing, dimension), paths.get(dimension)
        if allowed is not None and path is not None:
            q &= Q(**{f"{path}__in": sorted(allowed)})
    if narrowing.labels is not None and "labels" in paths:
        carrying = model._base_manager.filter(
            organization_id=organization_id, **{f"{paths['labels']}__in": sorted(narrowing.labels)}
        )
        q &= Q(pk__in=carrying.values("pk"))
    return q


@contextlib.contextmanager
def keys_checked_after() -> Iterator[None]:
    """Foreign keys are checked at the end of this, not at each statement; on SQLite they are at the commit anyway."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class TenantManager(models.Manager[M]):
    """Sees the rows of the scope in force only."""

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().filter(condition(self.model, current_scope()))

    def unnarrowed(self) -> models.QuerySet[M]:
        """The organization's rows without the caller's narrowing, for rules that hold for all of them."""
        scope = Scope(current_scope().organization_id)
        return super().get_queryset().filter(condition(self.model, scope))


class TenantModel(models.Model):
    """Base of every tenant table: the organization comes from the scope, and reads need one."""

    tenant_column: ClassVar[str] = "organization_id"
    # Dimension of a narrowing -> path to it. What is left out is not narrowed.
    narrowed_by: ClassVar[dict[str, str]] = {}
    # The column with the id of the account a row belongs to: the row is seen if its account is.
    account_column: ClassVar[str | None] = None

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        scope = current_scope()
        mine = getattr(self, self.tenant_column)
        if mine is None:
            setattr(self, self.tenant_column, scope.organization_id)
        elif scope.organization_id not in (None, mine):
            raise NoScopeError("a row of one organization cannot be saved in the scope of another")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """With all that depends on it, in Django's order, which some foreign keys bear only once everything is gone."""
        with transaction.atomic(savepoint=False), keys_checked_after():
            return super().delete(*args, **kwargs)

    @classmethod
    def in_scope(cls, **columns: Any) -> Self:
        """A new row of the organization in scope, not saved yet."""
        return cls(**{cls.tenant_column: current_scope().organization_id}, **columns)
