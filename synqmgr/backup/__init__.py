"""Backups of the database, which hold no root key, and what brings them back."""
