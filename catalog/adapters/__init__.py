"""Adapters: how the service reads from a provider, or writes to it, on its own."""
