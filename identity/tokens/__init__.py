"""Tokens: opaque bearer secrets, hashed at rest, scoped, in pairs."""
