"""The organizations app's registration."""

from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    name = "organizations"
