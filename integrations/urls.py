"""The integrations app's addresses."""

from core.routing import Routes
from integrations.billing.views import BillingViewSet, OneBillingViewSet
from integrations.bridges.surface import AgentViewSet
from integrations.bridges.views import BridgeViewSet
from integrations.operations.views import ExecutionViewSet, OperationViewSet
from integrations.points.views import IntegrationPointViewSet
from integrations.status.views import OneStatusViewSet, StatusEventViewSet, StatusViewSet
from integrations.views import IntegrationTokenViewSet, IntegrationViewSet, OrganizationIntegrationViewSet

routes: Routes = [
    ("integrations", OrganizationIntegrationViewSet),
    ("integrations/<str:account_id>", IntegrationViewSet),
    ("integration-points", IntegrationPointViewSet),
    ("status", StatusViewSet),
    ("status/<str:account_id>", OneStatusViewSet),
    ("status/<str:account_id>/<str:integration_id>/events", StatusEventViewSet),
    ("billing", BillingViewSet),
    ("billing/<str:organization_id>", OneBillingViewSet),
    ("bridges/<str:account_id>", BridgeViewSet),
    ("jobs", OperationViewSet),
    ("jobs/history", ExecutionViewSet),
    ("tokens/<str:account_id>/<str:integration_id>", IntegrationTokenViewSet),
]
agent_routes: Routes = [("bridge", AgentViewSet)]  # what the agents of bridges call
