"""The accounts app's addresses."""

from accounts.views import AccountViewSet, SynqlyIntegrationsTokenViewSet
from core.routing import Routes

routes: Routes = [("accounts", AccountViewSet), ("tokens", SynqlyIntegrationsTokenViewSet)]
