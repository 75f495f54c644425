"""Django's PostgreSQL backend with row level security: the second lock of tenancy."""
