"""The organizations app's addresses."""

from core.routing import Routes
from organizations.views import OrganizationViewSet

routes: Routes = [("organization", OrganizationViewSet)]
