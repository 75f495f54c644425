"""The catalog's tables, in reading order."""

from catalog.customs.models import Custom
from catalog.mappings.models import Mapping, MappingVersion

__all__ = ["Custom", "Mapping", "MappingVersion"]
