"""The catalog's addresses."""

from catalog.views import CapabilitiesViewSet
from core.routing import Routes

routes: Routes = [("capabilities", CapabilitiesViewSet)]
