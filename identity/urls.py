"""The identity app's addresses."""

from core.routing import Routes
from identity.sso.sign_on import SignOnViewSet
from identity.sso.views import SsoMetadataViewSet, SsoViewSet
from identity.tokens.views import TokenViewSet

routes: Routes = [
    ("tokens", TokenViewSet),
    ("auth/sso", SsoViewSet),
    ("auth", SsoMetadataViewSet),
    ("auth", SignOnViewSet),
]
