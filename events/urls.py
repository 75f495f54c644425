"""The events app's addresses."""

from core.routing import Routes
from events.audit.views import AuditEventViewSet

routes: Routes = [("audit/organizations", AuditEventViewSet)]
