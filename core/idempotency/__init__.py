"""`Idempotency-Key`: a request sent twice takes effect once, and both get the one answer."""
