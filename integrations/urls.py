"""The integrations app's addresses."""

from core.routing import Routes
from integrations.operations.views import ExecutionViewSet, OperationViewSet
from integrations.points.views import IntegrationPointViewSet
from integrations.views import IntegrationTokenViewSet, IntegrationViewSet, OrganizationIntegrationViewSet

routes: Routes = [
    ("integrations", OrganizationIntegrationViewSet),
    ("integrations/<str:account_id>", IntegrationViewSet),
    ("integration-points", IntegrationPointViewSet),
    ("jobs", OperationViewSet),
    ("jobs/history", ExecutionViewSet),
    ("tokens/<str:account_id>/<str:integration_id>", IntegrationTokenViewSet),
]
