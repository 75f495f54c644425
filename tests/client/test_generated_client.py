"""A client generated from openapi.yaml: the schema says enough for a generator, and what it says holds."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.published import every_operation, new_name
from tests.server import ROOT, Server

PACKAGE = "generated_management_client"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The generated package's name; it can be imported. A part that the generator leaves out fails here."""
    folder = tmp_path_factory.mktemp("generated")
    scripts = Path(sys.executable).parent  # the generator formats what it writes with the ruff that is there
    made = subprocess.run(
        [str(scripts / "openapi-python-client"), "generate", "--path", str(ROOT / "openapi.yaml"), "--meta", "none",
         "--output-path", str(folder / PACKAGE), "--fail-on-warning"],
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, f"the generator has doubts about openapi.yaml:\n{made.stdout}{made.stderr}"
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


class Generated:
    """The generated client at a server: `generated("accounts", "get", "north")` gives the parsed answer."""

    def __init__(self, package: str, url: str, token: str) -> None:
        self.package = package
        self.models = importlib.import_module(f"{package}.models")
        self.client = importlib.import_module(f"{package}.client").AuthenticatedClient(base_url=url, token=token)

    def __call__(self, group: str, operation: str, *path: str, status: int = 200, **given: Any) -> Any:
        module = importlib.import_module(f"{self.package}.api.{group}.{group}_{operation}")
        call: Callable[..., Any] = module.sync_detailed
        answer = call(*path, client=self.client, **given)
        assert answer.status_code == status, answer.content
        return answer.parsed

    def operations(self, *operations: tuple[str, str, Any]) -> list[Any]:
        """The body of a patch."""
        kind = self.models.PatchOperationOp
        return [self.models.PatchOperation(op=kind(op), path=path, value=value) for op, path, value in operations]


@pytest.fixture
def generated(package: str, live_server_process: Server) -> Generated:
    return Generated(package, live_server_process.url, live_server_process.token)


def test_generated_client__every_operation_served__has_a_function(package: str) -> None:
    api = importlib.import_module(f"{package}.api")
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(api.__path__, f"{package}.api.")]
    functions = [module for module in modules if hasattr(module, "sync_detailed")]
    described = (ROOT / "openapi.yaml").read_text().count("\n      operationId: ")
    assert len(functions) == described >= len(every_operation())


def test_generated_client__steps_of_the_quickstart__all_work(generated: Generated) -> None:
    models, name = generated.models, new_name("north")
    body = models.CreateAccountRequest(name=name, fullname="North", environment=models.Environment.TEST, labels=["eu"])
    account = generated("accounts", "create", body=body).result.account
    assert isinstance(account, models.Account)
    assert (account.name, account.labels, account.environment) == (name, ["eu"], models.Environment.TEST)

    config = models.CredentialConfigBasic(
        type_=models.CredentialConfigBasicType.BASIC, username="ann", secret="api-token"
    )
    body = models.CreateCredentialRequest(name="jira", config=config)
    credential = generated("credentials", "create", name, body=body).result
    assert isinstance(credential, models.CredentialResponse)
    assert (credential.account_id, credential.config.type_.value) == (account.id, "basic")

    environments = models.IntegrationEnvironmentsRequest(test=["*"])
    body = models.CreateIntegrationPointRequest(
        name=new_name("tickets"), connector="ticketing", environments=environments
    )
    point = generated("integration_points", "create", body=body).result

    config = models.CreateIntegrationRequestProviderConfig.from_dict(
        {
            "type": "ticketing_jira",
            "url": "http://127.0.0.1:9",
            "credential": {"type": "basic_id", "value": str(credential.id)},
        }
    )
    body = models.CreateIntegrationRequest(name="jira", provider_config=config, integration_point_id=point.id)
    made = generated("integrations", "create", name, body=body)
    integration = made.result.integration
    assert isinstance(integration, models.Integration)
    assert integration.provider_config.to_dict() == config.to_dict()
    assert [problem.type_ for problem in made.messages.problems] == ["/problems/provider-failed"]

    listed = generated("integrations", "list", filter_=[f"account.name[eq]{name}"], order=["name[desc]"], total=True)
    assert ([each.id for each in listed.result], listed.total) == ([integration.id], 1)
    operations = generated.operations(("replace", "/fullname", "Jira of North"))
    patched = generated("integrations", "patch", name, "jira", body=operations)
    assert (patched.result.id, patched.result.fullname) == (integration.id, "Jira of North")
    assert generated("integrations", "verify_existing", name, "jira").messages.problems

    generated("integrations", "delete", name, "jira", status=204)
    generated("credentials", "delete", name, "jira", status=204)
    generated("accounts", "delete", name, status=204)
    generated("integration_points", "delete", point.name, status=204)


@pytest.mark.parametrize("order", [["fullname"], ["fullname[desc]", "name"]])
def test_generated_client__pages__go_on_after_the_last_name(generated: Generated, order: list[str]) -> None:
    label = new_name("paged")
    for number in range(5):
        body = generated.models.CreateAccountRequest(
            name=f"{label}-{number}", fullname=f"F{number % 2}", labels=[label]
        )
        generated("accounts", "create", body=body)
    found: list[str] = []
    while True:
        cursor: dict[str, Any] = {"start_after": found[-1]} if found else {}
        page = generated("accounts", "list", filter_=[f"labels[eq]{label}"], order=order, limit=2, **cursor).result
        found += [each.name for each in page]
        if len(page) < 2:
            break
    assert sorted(found) == [f"{label}-{number}" for number in range(5)]


def test_generated_client__refusals__are_parsed_as_problems(generated: Generated) -> None:
    models = generated.models
    absent = generated("accounts", "get", "no-such-account", status=404)
    assert isinstance(absent, models.Problem)
    assert absent.type_ == "/problems/not-found"
    body = models.CreateAccountRequest(name="Not A Name")
    invalid = generated("accounts", "create", body=body, status=400)
    assert invalid.context.parameter.id == "/name"
    taken = models.CreateAccountRequest(name=new_name("north"))
    generated("accounts", "create", body=taken)
    assert generated("accounts", "create", body=taken, status=409).type_ == "/problems/duplicate-name"


def test_generated_client__tokens_and_catalog__are_parsed(generated: Generated) -> None:
    models = generated.models
    body = models.CreateTokenRequest(resources=models.ResourcesRequest(), permission_set=models.Permissions.VIEWER)
    token = generated("tokens", "create_token", body=body).result
    assert isinstance(token.id, uuid.UUID)
    reading = Generated(generated.package, generated.client._base_url, token.primary.access.secret)
    assert len(reading("capabilities", "list_providers").result) == 186
    assert reading("organization", "get").result.organization_type.value == "root"
    generated("tokens", "delete", str(token.id), status=204)
