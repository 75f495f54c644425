"""The core app's registration."""

from django.apps import AppConfig

from core import checks


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        checks.register()
