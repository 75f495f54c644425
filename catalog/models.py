"""The catalog's tables, in reading order."""

from catalog.mappings.models import Mapping, MappingVersion

__all__ = ["Mapping", "MappingVersion"]
