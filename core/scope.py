"""Where the scope in force is kept: apart from core.tenancy, since the database wrapper exists before any model."""

from contextvars import ContextVar
from typing import Any

IN_FORCE: ContextVar[Any] = ContextVar("scope", default=None)  # a core.tenancy.Scope, None outside every scope

# The organization while a tenant is being found: no table of tenants is asked but by the look-up itself.
FINDING = "finding"
