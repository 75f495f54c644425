"""The tenant: the SaaS company whose customers, integrations and secrets are kept apart from all others."""
