"""OpenAPI: how viewsets and serializers become the schema."""

from drf_spectacular.openapi import AutoSchema


class ResourceSchema(AutoSchema):
    pass
