"""What operators build and start: the recipe of the image and the compose file, accepted by linters, with every app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.urls import get_resolver
from prometheus_client import REGISTRY

import core.ledger.worker  # noqa: F401 - its counters
from tests.server import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "Dockerfile"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        # Digests of images are for whoever runs them to pin: those of a day would be stale in the next.
        ["compose-lint", "check", "compose.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_deployment__linted__is_accepted(command: list[str]) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_image__made_of_the_folders_listed__lacks_none_and_has_no_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    copied = {line[1:] for line in lines if line.startswith("!")}
    assert copied == {*settings.APPS, "synqmgr", "manage.py", "requirements.txt", "openapi.yaml", "LICENSE"}


def test_compose__services__share_keys_by_file_and_publish_the_proxy_alone() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["web"]["deploy"]["replicas"] == 2
    for name in ("setup", "web", "worker"):
        environment = services[name]["environment"]
        assert environment["SYNQMGR_KEY_FILE"] == "/run/secrets/root_keys"
        assert not any("password" in str(value).lower() for value in environment.values())
    assert all(secret["file"].startswith("./secrets/") for secret in compose["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_configuration__every_variable__is_in_the_manual() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "synqmgr" / "settings.py").read_text()))
    assert {"SYNQMGR_DATA", "SYNQMGR_RETENTION", "WORKERS"} <= read
    manual = (ROOT / "docs" / "configuration.md").read_text()
    assert {name for name in read | {"DATABASE_URL"} if f"`{name}`" not in manual} == set()


def test_metrics__every_series_of_the_manual__is_one_there_is() -> None:
    get_resolver().url_patterns  # noqa: B018 - imports whatever counts
    manual = (ROOT / "docs" / "metrics.md").read_text()
    named = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"synqmgr_[a-z_]+", manual)}
    counted = {family.name for family in REGISTRY.collect()}
    read = set(re.findall(r'"(synqmgr_[a-z_]+)"', (ROOT / "core" / "gauges.py").read_text()))
    ours = {name for name in counted | read if name.startswith("synqmgr_")}
    assert named == ours
    alerts = yaml.safe_load(manual.partition("```yaml")[2].partition("```")[0])
    assert all({"alert", "expr"} <= set(rule) for rule in alerts["groups"][0]["rules"])
