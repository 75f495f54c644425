"""The audit log: one row per change and per refused change, chained."""
