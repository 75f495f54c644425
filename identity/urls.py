"""The identity app's addresses."""

from core.routing import Routes
from identity.tokens.views import TokenViewSet

routes: Routes = [("tokens", TokenViewSet)]
