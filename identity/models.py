"""The identity app's tables, in reading order."""

from identity.tokens.models import Token, TokenSecret

__all__ = ["Token", "TokenSecret"]
