"""The organization's own account."""

from __future__ import annotations

from accounts.models import OWN_ACCOUNT, Account
from core.columns import new_id
from core.errors import ForbiddenError
from core.names import assign_name
from core.tenancy import current_scope, scope_for_change
from organizations.services import locked_organization


def find_own_account() -> Account:
    """The account of the organization itself, made the first time; for whoever it lies in the scope of."""
    own = Account.objects.unnarrowed().filter(name=OWN_ACCOUNT)
    account: Account | None = own.first()
    if account is None:
        locked_organization()
        account = own.first() or _create()
    is_seen = Account.objects.filter(id=account.id).exists()
    if not is_seen or scope_for_change(Account, current_scope()) is None:
        raise ForbiddenError(f"the token is not good for the account {OWN_ACCOUNT!r} of the organization")
    return account


def _create() -> Account:
    account: Account = Account.in_scope(id=new_id())
    assign_name(account, name=OWN_ACCOUNT, fullname="Synqly integrations")
    account.save(force_insert=True)
    return account
