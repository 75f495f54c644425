"""The checks as data: what they need is in the configuration, and where they go is fixed or configured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from catalog.members import resolve
from catalog.registry import Provider, list_providers
from catalog.templates import Context, Source, UnfillableError, choose, fill, fill_path, fill_tree
from tests.catalog.configs import build_whole

HTTP = [provider for provider in list_providers() if provider.check["kind"] == "http"]
each_http_check = pytest.mark.parametrize("provider", HTTP, ids=lambda provider: provider.id)
CHECK_MEMBERS = {
    *("kind", "method", "base", "path", "query", "headers", "optional_headers", "json", "form"),
    *("auth", "expect", "denied", "answer"),
}
SCHEMES = {"basic", "bearer", "header", "query", "oauth2", "body", "none"}


def list_schemes(provider: Provider) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in provider.check["auth"]:
        for form, schemes in entry["types"].items():
            for scheme in schemes if isinstance(schemes, list) else [schemes]:
                yield form, scheme


def list_credentials(provider: Provider) -> dict[str, set[str]]:
    """The forms that the credential at each pointer may have."""
    return {member.pointer: set(member.stores) for member in provider.credential_members(build_whole(provider))}


def has_member(provider: Provider, path: str) -> bool:
    schema: Any = provider.schema
    for name in path.split("."):
        if name not in schema.get("properties", {}):
            return False
        schema = resolve(schema["properties"][name], provider.schema)
    return True


@pytest.mark.parametrize("provider", list_providers(), ids=lambda provider: provider.id)
def test_check__of_each_provider__is_of_a_known_kind(provider: Provider) -> None:
    check = provider.check
    match check["kind"]:
        case "mock":
            assert set(check) == {"kind"}
        case "none":
            assert set(check) == {"kind", "reason"}
            assert check["reason"].endswith(".")
        case kind:
            assert kind == "http"
            assert set(check) <= CHECK_MEMBERS
            assert check["auth"]
            assert ("path" in check) == ("base" in check)
            assert {scheme["scheme"] for _, scheme in list_schemes(provider)} <= SCHEMES


@each_http_check
def test_check__placeholders__exist_in_the_configuration(provider: Provider) -> None:
    text = json.dumps(provider.check)
    for path in re.findall(r"\bconfig\.([a-z0-9_.]+)", text):
        assert has_member(provider, path), path
    assert not re.search(r"\{(?!config\.|secret\.)[a-z_.]+\}", text)


@each_http_check
def test_check__credentials__are_members_and_every_form_is_answered(provider: Provider) -> None:
    credentials = list_credentials(provider)
    for entry in provider.check["auth"]:
        assert set(entry["types"]) == credentials[entry["credential"]]
    forms = json.loads(json.dumps(provider.schema["$defs"]))
    for form, scheme in list_schemes(provider):
        shared = {name: provider.check.get(name) for name in ("json", "form")} if scheme["scheme"] == "body" else {}
        for member in re.findall(r"\{secret\.([a-z_]+)\}", json.dumps([scheme, shared])):
            assert member in forms[form]["properties"]


@each_http_check
def test_check__addresses__are_https(provider: Provider) -> None:
    text = json.dumps(provider.check)
    assert "http://" not in text
    for found in re.findall(r'"https://([^"]*)"', text):
        assert re.fullmatch(
            r"(\{config\.[a-z_]+\}\.)?[a-z0-9-]+(\.[a-z0-9-]+)+(/v1\.0|/\.default|/api|/graphql|/api/graphql)?", found
        )


@each_http_check
def test_check__request__can_be_made_from_whole_configurations(provider: Provider) -> None:
    check, forms = provider.check, provider.schema["$defs"]
    for form, scheme in list_schemes(provider):
        secret = dict.fromkeys(forms[form]["properties"], "value")
        for config in list_configs(provider):
            context = Context(config=config, secret=secret)
            if scheme["scheme"] == "oauth2" and scheme["base"]:
                assert (choose(scheme["base"], context) or "").startswith("https://")
                assert fill_path(scheme["path"], context).startswith("/")
            if "path" in check:
                assert (choose(check["base"], context) or "").startswith("https://")
                assert "{" not in fill_path(check["path"], context)
            for name in ("headers", "query", "json", "form"):
                if scheme["scheme"] == "body" or name in {"headers", "query"}:
                    assert "{config." not in json.dumps(fill_tree(check.get(name, {}), context))


def list_configs(provider: Provider) -> Iterator[dict[str, Any]]:
    """The whole configuration, and it without URL for each listed value of each member."""
    yield build_whole(provider)
    for name, schema in provider.schema["properties"].items():
        optional = {other for other in ("url",) if other not in provider.schema["required"]}
        for value in schema.get("enum", ()):
            whole = build_whole(provider) | {name: value}
            yield {other: inner for other, inner in whole.items() if other not in optional}


@each_http_check
def test_check__listed_values__are_those_of_the_member(provider: Provider) -> None:
    for source in find_sources(provider.check):
        member = provider.schema["properties"].get(source["member"].removeprefix("config."), {})
        if "values" in source and "enum" in member:
            assert set(source["values"]) <= set(member["enum"])


def find_sources(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "member" in node:
            yield node
        for inner in node.values():
            yield from find_sources(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from find_sources(inner)


# --- templates ---------------------------------------------------------------------------------


def make(**config: object) -> Context:
    return Context(config=config, secret={})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("acme", "/orgs/acme"),
        ("a/b", "/orgs/a%2Fb"),
        ("../admin", "/orgs/..%2Fadmin"),
        ("a?x=1#y", "/orgs/a%3Fx%3D1%23y"),
        ("{config.other}", "/orgs/%7Bconfig.other%7D"),
        ("é", "/orgs/%C3%A9"),
    ],
)
def test_fill_path__any_value__stays_one_step(value: str, expected: str) -> None:
    assert fill_path("/orgs/{config.name}", make(name=value)) == expected


@pytest.mark.parametrize("value", ["..", ".", "", None, True, {"a": 1}])
def test_fill_path__dots_or_nothing__cannot_be_filled(value: object) -> None:
    with pytest.raises(UnfillableError):
        fill_path("/orgs/{config.name}", make(name=value))


def test_fill_path__value_of_several_steps__keeps_its_slashes_only() -> None:
    assert fill_path("/repos/{config.name/}", make(name="a b/c?d")) == "/repos/a%20b/c%3Fd"
    for climbing in ("a/..", "../b", "a//b"):
        with pytest.raises(UnfillableError):
            fill_path("/repos/{config.name/}", make(name=climbing))


@pytest.mark.parametrize("value", ["evil.com/", "evil.com", "a@b", "a:1", "-a", "a b", "a%2e"])
def test_choose__value_in_a_fixed_host__is_one_label(value: str) -> None:
    assert choose(["https://{config.region}.example.com"], make(region="eu-1")) == "https://eu-1.example.com"
    with pytest.raises(UnfillableError):
        choose(["https://{config.region}.example.com"], make(region=value))


def test_choose__sources__are_tried_in_order() -> None:
    listed = {"member": "config.region", "values": {"eu": "https://eu.example"}}
    assert choose(["{config.url}", listed, "https://x.example"], make()) == "https://x.example"
    assert choose(["{config.url}", listed], make(region="eu")) == "https://eu.example"
    assert choose(["{config.url}", listed], make(region="eu", url="https://own/")) == "https://own"
    assert choose([listed], make(region="elsewhere")) is None
    hosts = {"member": "config.url", "hosts": {"example.us": "us", "example.com": "com"}}
    assert choose([hosts], make(url="https://api.Example.com:8443/x")) == "com"
    assert choose([hosts], make(url="https://notexample.com")) is None
    append: dict[str, str] = {"member": "config.url", "append": "/api"}
    assert choose([append], make(url="https://own/")) == choose([append], make(url="https://own/api"))
    site: list[Source] = [
        {"member": "config.site", "url": True},
        {"member": "config.site", "missing": "https://default"},
    ]
    assert [choose(site, make(site=s)) for s in (None, "https://own", "other")] == [
        "https://default",
        "https://own",
        None,
    ]


@pytest.mark.parametrize("url", ["ftp://own", "https://own?x=1", "https://own/#x", "https://[own", "own"])
def test_choose__member_that_is_no_base_url__cannot_be_filled(url: str) -> None:
    with pytest.raises(UnfillableError):
        choose(["{config.url}"], make(url=url))


def test_fill__value_that_looks_like_a_template__is_not_filled_again() -> None:
    context = Context(config={"name": "{secret.secret}"}, secret={"secret": "S3CRET"})
    assert fill("{config.name}", context) == "{secret.secret}"
