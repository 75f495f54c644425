"""The core app's registration."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
