"""The mapping and its versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.columns import InstantColumn, JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel

LONGEST = 64 * 1024


class Mapping(Resource):
    """A document of JSONata expressions, as it was saved last: `version` is the number of that save."""

    resource_type = "mapping"
    reserved_names = frozenset({"apply"})

    data = TextColumn(max_length=LONGEST)
    version = models.IntegerField(default=1)

    class Meta:
        constraints = [named_once("mapping")]
        indexes = sorted_by("mapping", "fullname", "created_at", "updated_at", "id")


class MappingVersion(TenantModel):
    """One save of a mapping. `template` is what its document holds, read once."""

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    mapping = models.ForeignKey(Mapping, models.CASCADE, related_name="+")
    version = models.IntegerField()
    created_at = InstantColumn(default=timezone.now, editable=False)
    data = TextColumn(max_length=LONGEST)
    template = JsonColumn()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mapping", "version"], name="mapping_version_once")]

    def __str__(self) -> str:
        return f"{self.mapping_id}:{self.version}"
