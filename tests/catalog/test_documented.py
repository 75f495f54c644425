"""What the docs show of mappings and custom providers, done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from catalog.customs.definitions import read_schema
from tests.api import Api
from tests.objects import make_account, make_integration, ok

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found
    return found


def test_mappings_page__its_example__gives_what_it_says(acme: Api) -> None:
    ok(acme.post("/v1/mappings", {"name": "tickets", "data": blocks("mappings.md", "yaml")[0]}))
    text = (DOCS / "mappings.md").read_text()
    (given,) = re.findall(r"For the input `(\{.*\})` this gives", text)
    body: dict[str, Any] = {"mappings": ["tickets"], "data": json.loads(given)}
    assert ok(acme.post("/v1/mappings/apply", body))["mapping"] == json.loads(blocks("mappings.md", "json")[0])


def test_custom_providers_page__its_example__can_be_integrated(acme: Api) -> None:
    (definition,) = blocks("custom-providers.md", "yaml")
    jsonschema_rs.validate(read_schema(), yaml.safe_load(definition))
    ok(acme.post("/v1/customs", {"name": "help-desk", "data": definition}))
    (config,) = blocks("custom-providers.md", "json")
    made = make_integration(acme, make_account(acme)["id"], json.loads(config))
    assert made["category"] == "custom"
