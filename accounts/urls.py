"""The accounts app's addresses."""

from accounts.views import AccountViewSet
from core.routing import Routes

routes: Routes = [("accounts", AccountViewSet)]
