"""Scheduled operations: what integrations read by themselves, and the history of it."""
