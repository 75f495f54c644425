"""Limits: how many requests a subject may make in a window of time, counted once for all processes."""

from core.limits.limiter import Verdict, nearest, take

__all__ = ["Verdict", "nearest", "take"]
