"""The credentials app's registration."""

from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    name = "credentials"
