"""OpenAPI: how viewsets and serializers become the schema. What a viewset may declare is in `declarations`."""

from core.schema.authentication import BearerScheme
from core.schema.operations import ResourceSchema
from core.schema.problems import ProblemSerializer

__all__ = ["BearerScheme", "ProblemSerializer", "ResourceSchema"]
