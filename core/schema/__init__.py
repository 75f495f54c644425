"""OpenAPI: how viewsets and serializers become the schema. What a viewset may declare is in `declarations`."""

from core.schema.authentication import BearerScheme
from core.schema.generator import Generator

__all__ = ["BearerScheme", "Generator"]
