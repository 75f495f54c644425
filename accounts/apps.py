"""The accounts app's registration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
