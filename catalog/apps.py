"""Django's entry for the catalog: what everybody can connect is data, what an organization adds has tables."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
