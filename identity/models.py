"""The identity app's tables, in reading order."""

from identity.members.models import Member, MemberRole
from identity.roles.models import Role
from identity.tokens.models import Token, TokenSecret

__all__ = ["Member", "MemberRole", "Role", "Token", "TokenSecret"]
