"""The integrations app's addresses."""

from core.routing import Routes
from integrations.bridges.surface import AgentViewSet
from integrations.bridges.views import BridgeViewSet
from integrations.points.views import IntegrationPointViewSet
from integrations.views import IntegrationTokenViewSet, IntegrationViewSet, OrganizationIntegrationViewSet

routes: Routes = [
    ("integrations", OrganizationIntegrationViewSet),
    ("integrations/<str:account_id>", IntegrationViewSet),
    ("integration-points", IntegrationPointViewSet),
    ("bridges/<str:account_id>", BridgeViewSet),
    ("tokens/<str:account_id>/<str:integration_id>", IntegrationTokenViewSet),
]
agent_routes: Routes = [("bridge", AgentViewSet)]  # what the agents of bridges call
