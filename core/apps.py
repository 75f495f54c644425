"""The core app's registration."""

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from core import checks


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        checks.register()
        row_security = import_module("core.rowsecurity")  # which needs the loaded apps
        pre_migrate.connect(row_security.before_migrations, self)
        post_migrate.connect(row_security.after_migrations, self)
