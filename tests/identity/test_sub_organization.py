"""Organizations below a root organization: made and removed from above, closed otherwise."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.columns import new_id
from core.crypto.models import OrganizationKey
from core.tenancy import scoped, unscoped
from identity.suborganizations.models import SubOrganization
from organizations.models import Organization, OrganizationType
from tests.api import Api, open_organization
from tests.contract.problems import assert_problem
from tests.identity.test_member import SECRET, make_member, session_of
from tests.integrations.operations.worked import make_scheduled, waiting
from tests.objects import HTTP_SINK, TOKEN_CONFIG, ok, post_integration


@pytest.fixture
def below(acme: Api) -> Api:
    """The administrator of an organization below acme."""
    result = acme.post("/v1/suborgs", {"name": "below", "fullname": "Below"}).json()["result"]
    return Api(result["organization"]["id"], result["token"]["access"]["secret"])


def test_sub_organization__made__works_at_once(acme: Api) -> None:
    member = {"name": "ada@example.com", "secret": SECRET}
    result = acme.post("/v1/suborgs", {"name": "below", "member": member}).json()["result"]
    organization = result["organization"]
    assert (organization["organization_type"], organization["name"]) == ("standard", "below")
    assert result["member"]["role_binding"] == ["administrator"]
    below = Api(organization["id"], result["token"]["access"]["secret"])
    assert below.get("/v1/organization").json()["result"] == organization
    config = {"type": "token", "secret": "hush"}
    account = below.post("/v1/accounts", {"name": "theirs"}).json()["result"]["account"]
    assert below.post(f"/v1/credentials/{account['id']}", {"config": config}).status_code == 200
    assert below.log_on("ada@example.com", SECRET).get("/v1/accounts").status_code == 200


def test_sub_organization__made__shares_nothing_in_either_direction(acme: Api, below: Api) -> None:
    mine = acme.post("/v1/accounts", {"name": "mine"}).json()["result"]["account"]["id"]
    theirs = below.post("/v1/accounts", {"name": "theirs"}).json()["result"]["account"]["id"]
    assert_problem(acme.get(f"/v1/accounts/{theirs}"), 404, "not-found")
    assert_problem(below.get(f"/v1/accounts/{mine}"), 404, "not-found")
    assert_problem(below.get(f"/v1/suborgs/{acme.id}"), 404, "not-found")
    body = {"resources": {"organizations": {"ids": [acme.id]}}, "permission_set": "viewer"}
    assert_problem(below.post("/v1/tokens", body), 400, "invalid-request", at="/resources/organizations/ids/0")


@pytest.fixture
def beside(acme: Api) -> Api:
    """The administrator of another one."""
    result = acme.post("/v1/suborgs", {"name": "beside"}).json()["result"]
    return Api(result["organization"]["id"], result["token"]["access"]["secret"])


def test_sub_organization__named_by_a_role__is_all_that_its_members_reach(acme: Api, below: Api, beside: Api) -> None:
    acme.post("/v1/accounts", {"name": "mine", "token": {"permission_set": "connect-ui"}})
    below.post("/v1/accounts", {"name": "theirs"})
    resources = {"organizations": {"ids": [below.id]}}
    body = {"name": "keeper", "permission_set": "administrator", "resources": resources}
    assert acme.post("/v1/roles", body).json()["result"]["resources"] == resources
    member = session_of(acme, make_member(acme, role_binding=["keeper"]))
    assert [each["name"] for each in member.get("/v1/suborgs").json()["result"]] == ["below"]
    assert_problem(member.get("/v1/suborgs/beside"), 404, "not-found")
    assert_problem(member.delete("/v1/suborgs/beside"), 404, "not-found")
    assert_problem(member.post("/v1/suborgs", {"name": "third"}), 403, "forbidden")
    assert_problem(member.get("/v1/organization"), 404, "not-found")
    lists = ("accounts", "tokens", "members", "roles", "integrations", "mappings", "auth/sso", "status", "billing",
             "organization/webhooks", "integration-points", "customs", "jobs", "audit/organizations")  # fmt: skip
    assert {path: member.get(f"/v1/{path}").json()["result"] for path in lists} == {path: [] for path in lists}
    assert_problem(member.post("/v1/accounts", {}), 403, "forbidden")
    assert_problem(member.post("/v1/roles", {"permission_set": "viewer"}), 403, "forbidden")
    assert member.delete("/v1/suborgs/below").status_code == 204


def test_sub_organization__of_a_neighbour__is_named_by_no_role(acme: Api, below: Api) -> None:
    neighbour = open_organization("other-root", OrganizationType.ROOT)
    body = {"permission_set": "viewer", "resources": {"organizations": {"ids": [below.id]}}}
    assert_problem(neighbour.post("/v1/roles", body), 400, "invalid-request", at="/resources/organizations/ids/0")


def test_sub_organization__tokens_of_one__name_the_organization_above(acme: Api, below: Api) -> None:
    shown = acme.post("/v1/suborgs", {"name": "third"}).json()["result"]["token"]["access"]["permissions"]
    assert shown["root_organization_id"] == acme.id
    (listed,) = below.get("/v1/tokens").json()["result"]
    assert listed["primary"]["access"]["permissions"]["root_organization_id"] == acme.id
    own = acme.get(f"/v1/tokens/{acme.token_id}/info").json()["result"]
    assert "root_organization_id" not in own["primary"]["access"]["permissions"]


def test_sub_organizations__more_than_a_hundred__are_listed_at_once(acme: Api) -> None:
    with scoped(acme.scope):
        for number in range(101):
            SubOrganization(id=new_id(), parent_id=acme.id, name=f"many-{number}", fullname="x").save(force_insert=True)
    answer = acme.get("/v1/suborgs")
    assert (len(answer.json()["result"]), answer.headers.get("Link")) == (101, None)
    paged = acme.get("/v1/suborgs", query={"limit": "100"})
    assert (len(paged.json()["result"]), "start_after=" in paged.headers["Link"]) == (100, True)


def test_sub_organization__by_another_than_a_root__is_not_made(below: Api) -> None:
    assert_problem(below.post("/v1/suborgs", {"name": "deeper"}), 403, "forbidden")
    assert below.get("/v1/suborgs").json()["result"] == []


def test_sub_organization__disabled__is_402_until_enabled(acme: Api, below: Api) -> None:
    call_command("set_organization_state", "below", "disabled", stdout=StringIO())
    assert_problem(below.get("/v1/accounts"), 402, "organization-disabled")
    assert acme.get("/v1/suborgs/below").json()["result"]["state"] == "disabled"
    call_command("set_organization_state", below.id, "plg", end_date="2000-01-01", stdout=StringIO())
    assert_problem(below.get("/v1/accounts"), 402, "organization-disabled")
    call_command("set_organization_state", below.id, "enabled", stdout=StringIO())
    assert below.get("/v1/accounts").status_code == 200


@pytest.mark.parametrize(("name", "end_date"), [("absent", None), ("acme", "soon")])
def test_organization_state__malformed__is_refused(acme: Api, name: str, end_date: str | None) -> None:
    with pytest.raises(CommandError):
        call_command("set_organization_state", name, "pov", end_date=end_date)


def test_sub_organization__deleted__is_gone_with_its_keys_and_all_it_had(acme: Api, below: Api) -> None:
    account = below.post("/v1/accounts", {"name": "theirs", "labels": ["gold"]}).json()["result"]["account"]["id"]
    config = {"type": "token", "secret": "hush"}
    assert below.post(f"/v1/credentials/{account}", {"config": config}).status_code == 200
    mock = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}
    assert below.post(f"/v1/integrations/{account}", {"provider_config": mock}).status_code == 200
    point = {"connector": "sink", "environments": {"test": ["*"], "prod": ["*"]}}
    used = {"integration_point_id": ok(below.post("/v1/integration-points", point))["id"]}
    inline = {"type": "token_config", "credential": TOKEN_CONFIG}
    assert post_integration(below, account, {**HTTP_SINK, "authorization": inline}, **used).status_code == 200
    role = below.post("/v1/roles", {"permission_set": "viewer"}).json()["result"]["name"]
    member = {"name": "ada@example.com", "secret": SECRET, "role_binding": [role]}
    assert below.post("/v1/members", member).status_code == 200
    make_scheduled(below)
    assert len(waiting(below)) == 1
    assert acme.delete("/v1/suborgs/below").status_code == 204
    assert waiting(below) == []
    with unscoped("a test looks for what must not be there"):
        assert not Organization.objects.filter(id=below.id).exists()
        assert not OrganizationKey.objects.filter(organization_id=below.id).exists()
    assert_problem(below.get("/v1/accounts"), 401, "unauthenticated")
    assert_problem(acme.get("/v1/suborgs/below"), 404, "not-found")


def test_sub_organization__of_a_neighbour__is_not_there(acme: Api, below: Api) -> None:
    neighbour = open_organization("other-root", OrganizationType.ROOT)
    assert_problem(neighbour.get("/v1/suborgs/below"), 404, "not-found")
    assert_problem(neighbour.delete(f"/v1/suborgs/{below.id}"), 404, "not-found")
    assert below.get("/v1/accounts").status_code == 200
