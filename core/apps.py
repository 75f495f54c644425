"""The core app's registration."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import checks  # noqa: F401, PLC0415 - registers the checks, which need the loaded apps
