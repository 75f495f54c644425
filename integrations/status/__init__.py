"""How integrations fare: counters of their calls, what failed, and how much by the hour."""
