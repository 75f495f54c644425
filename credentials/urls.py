"""The credentials app's addresses."""

from core.routing import Routes
from credentials.views import CredentialLookupViewSet, CredentialViewSet

routes: Routes = [
    ("credentials/lookup", CredentialLookupViewSet),
    ("credentials/<str:owner_id>", CredentialViewSet),
]
