"""The generator of the document: it alone gives viewsets their schemas."""

from __future__ import annotations

from typing import Any

from drf_spectacular.generators import SchemaGenerator

from core.schema.operations import ResourceSchema


class Generator(SchemaGenerator):
    """Were it DRF's setting `DEFAULT_SCHEMA_CLASS`, each worker would load all of this to find its routes."""

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        view = super().create_view(callback, method, request)  # type: ignore[no-untyped-call]
        view.schema = ResourceSchema()
        return view
