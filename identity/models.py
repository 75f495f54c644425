"""The identity app's tables, in reading order."""

from identity.sso.models import SsoAssertion, SsoAttempt, SsoCode, SsoConfiguration, SsoLink
from identity.tokens.models import Token, TokenSecret

__all__ = ["SsoAssertion", "SsoAttempt", "SsoCode", "SsoConfiguration", "SsoLink", "Token", "TokenSecret"]
