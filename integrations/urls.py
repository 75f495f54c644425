"""The integrations app's addresses."""

from core.routing import Routes
from integrations.points.views import IntegrationPointViewSet
from integrations.views import IntegrationTokenViewSet, IntegrationViewSet, OrganizationIntegrationViewSet

routes: Routes = [
    ("integrations", OrganizationIntegrationViewSet),
    ("integrations/<str:account_id>", IntegrationViewSet),
    ("integration-points", IntegrationPointViewSet),
    ("tokens/<str:account_id>/<str:integration_id>", IntegrationTokenViewSet),
]
