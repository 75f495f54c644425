"""The identity app's registration."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "identity"
