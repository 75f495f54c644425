"""The identity app's tables, in reading order."""

from identity.members.models import Member, MemberRole
from identity.roles.models import Role
from identity.sessions.models import LogonAttempt, SecondFactor
from identity.sso.models import SsoAssertion, SsoAttempt, SsoCode, SsoConfiguration, SsoLink
from identity.suborganizations.models import SubOrganization
from identity.tokens.models import Token, TokenSecret

__all__ = [
    "LogonAttempt",
    "Member",
    "MemberRole",
    "Role",
    "SecondFactor",
    "SsoAssertion",
    "SsoAttempt",
    "SsoCode",
    "SsoConfiguration",
    "SsoLink",
    "SubOrganization",
    "Token",
    "TokenSecret",
]
