"""Which provider has an adapter. One of its own is the module `adapter` in its folder, found by existing."""

from __future__ import annotations

import functools
import importlib
from typing import cast

from catalog.adapters.custom import CustomSource
from catalog.adapters.interface import Source
from catalog.adapters.mock import MockSource
from catalog.customs.models import Custom
from catalog.registry import ROOT, Provider


def find_source(provider: Provider, custom: Custom | None = None) -> Source | None:
    """What reads from a provider: from a custom one what its definition says."""
    return source_of(provider) if custom is None else CustomSource(custom.definition)


@functools.cache
def source_of(provider: Provider) -> Source | None:
    """What reads from a provider of the catalog: its own adapter, or the one that all mocks share."""
    if (ROOT / "providers" / provider.id / "adapter.py").is_file():
        return cast(Source, importlib.import_module(f"catalog.providers.{provider.id}.adapter").SOURCE)
    if provider.is_mock:
        mock = MockSource(provider.fullname, provider.connector_id)
        return mock if mock.operations else None
    return None
