"""The docs: pages that load nothing from elsewhere, under a strict policy of their own."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
import yaml
from django.conf import settings
from django.test import Client

from core.kinds import kinds
from synqmgr.meta import engine_schema, management_schema

PAGES = ("/docs", "/redoc", "/problems", "/problems/not-found")
_RESOURCE = re.compile(r"""(?:src|href)="([^"]*)\"""")


def policy_of(response: Any) -> dict[str, str]:
    rules = (rule.partition(" ") for rule in response.headers["Content-Security-Policy"].split("; "))
    return {name: value for name, _, value in rules}


@pytest.mark.parametrize("address", PAGES)
def test_page__asked_for__names_no_other_host(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    resources = _RESOURCE.findall(response.content.decode())
    assert resources
    assert all(resource.startswith("/") and not resource.startswith("//") for resource in resources)
    assert "http" not in response.content.decode().replace("HTTP status", "")


@pytest.mark.parametrize("address", PAGES)
def test_page__asked_for__has_a_strict_policy(client: Client, address: str) -> None:
    policy = policy_of(client.get(address))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("http" in value or "*" in value for value in policy.values())
    assert ("'unsafe-inline'" in policy["style-src"]) == (address == "/redoc")


@pytest.mark.parametrize("address", PAGES)
def test_page__asked_for__has_every_file_it_names_and_no_inline_script(client: Client, address: str) -> None:
    html = client.get(address).content.decode()
    assert not re.search(r"<script>|<script (?!src=)|\son[a-z]+=|style=", html)
    for resource in _RESOURCE.findall(html):
        response = client.get(resource)
        assert response.status_code == 200, resource
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_swagger__its_script__keeps_the_token_and_asks_no_validator(client: Client) -> None:
    script = b"".join(client.get("/static/docs/swagger.js")).decode()
    assert "persistAuthorization: true" in script
    assert "validatorUrl: null" in script
    assert 'url: "/openapi.yaml"' in script


def test_schema__asked_for__is_the_checked_in_file(client: Client) -> None:
    response = client.get("/openapi.yaml")
    assert response.headers["Content-Type"] == "application/yaml"
    assert response.content == (settings.BASE_DIR / "openapi.yaml").read_bytes()
    again = client.get("/openapi.yaml", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("slug", sorted(kinds()))
def test_problem__each_kind__has_a_page_with_meaning_and_remedy(client: Client, slug: str) -> None:
    html = client.get(f"/problems/{slug}").content.decode()
    assert f"<h1>{slug}</h1>" in html
    assert "<h2>What to do</h2>\n<p>" in html
    assert f'href="/problems/{slug}"' in client.get("/problems").content.decode()


def test_problem__unknown_kind__is_a_problem_itself(client: Client) -> None:
    response = client.get("/problems/no-such-kind")
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["management", "engine"])
def test_meta__without_a_token__is_401(client: Client, name: str) -> None:
    assert client.get(f"/v1/meta/openapi/{name}").status_code == 401


def test_meta__management__is_the_schema_as_json() -> None:
    expected = yaml.load((settings.BASE_DIR / "openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    assert orjson.loads(management_schema()) == expected


def test_meta__engine__is_a_valid_document_without_operations() -> None:
    document = orjson.loads(engine_schema())
    assert document["openapi"].startswith("3.1")
    assert document["paths"] == {}
