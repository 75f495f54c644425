"""The identity app's addresses."""

from core.routing import Routes
from identity.members.views import MemberViewSet
from identity.permissionsets.views import PermissionSetViewSet
from identity.roles.views import RoleViewSet
from identity.sessions.views import LogonViewSet, SessionViewSet
from identity.sso.sign_on import SignOnViewSet
from identity.sso.views import SsoMetadataViewSet, SsoViewSet
from identity.suborganizations.views import SubOrganizationViewSet
from identity.tokens.views import TokenRefreshViewSet, TokenRenewalViewSet, TokenViewSet

routes: Routes = [
    ("tokens", TokenViewSet),
    ("tokens", TokenRefreshViewSet),
    ("tokens", TokenRenewalViewSet),
    ("members", MemberViewSet),
    ("roles", RoleViewSet),
    ("permissionsets", PermissionSetViewSet),
    ("suborgs", SubOrganizationViewSet),
    ("auth", LogonViewSet),
    ("auth", SessionViewSet),
    ("auth/sso", SsoViewSet),
    ("auth", SsoMetadataViewSet),
    ("auth", SignOnViewSet),
]
