"""The catalog's addresses."""

from catalog.customs.views import CustomViewSet
from catalog.mappings.views import MappingViewSet
from catalog.mcp.views import McpTokenViewSet
from catalog.views import CapabilitiesViewSet
from core.routing import Routes

routes: Routes = [
    ("tokens", McpTokenViewSet),
    ("capabilities", CapabilitiesViewSet),
    ("mappings", MappingViewSet),
    ("customs", CustomViewSet),
]
