"""Integration points: a class of integrations, its allowed providers and its templates."""
