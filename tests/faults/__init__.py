"""Killing processes at the worst moments, and counting outside of them what became of the work."""
