"""What operators build and start: the recipe of the image and the compose file, accepted by linters, with every app."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.urls import get_resolver, reverse
from prometheus_client import REGISTRY

import core.ledger.worker  # noqa: F401 - its counters
from core.columns import new_id
from integrations.bridges.answers import AnswerParser
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
    assert copied == {*settings.APPS, "synqmgr", "bridge", "manage.py", "requirements.txt", "openapi.yaml", "LICENSE"}


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


def test_proxy__sizes_of_bodies__are_those_the_service_takes() -> None:
    configuration = (ROOT / "deploy" / "nginx.conf").read_text()
    of_server, of_answers = (int(size) * 1024 for size in re.findall(r"client_max_body_size (\d+)k;", configuration))
    assert of_server == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert 0 <= of_answers - AnswerParser.limit < 2 * 1024
    (location,) = re.findall(r"location ~ (\S+) \{\s+client_max_body_size", configuration)
    assert re.fullmatch(location.removesuffix("$"), reverse("agent-answer", kwargs={"request_id": new_id()}))


@pytest.mark.parametrize("service", ["setup", "web", "worker"])
def test_compose__environment_of_a_service__lets_it_start(tmp_path: Path, service: str) -> None:
    """In the image's environment, with SQLite in place of the database and what the manual has operators set."""
    image = dict(re.findall(r"\b([A-Z_]+)=(\S+)", (ROOT / "Dockerfile").read_text().partition("\nENV ")[2]))
    chosen = {"SYNQMGR_PUBLIC_URL": "https://api.example.com", "SYNQMGR_ALLOWED_HOSTS": "api.example.com"}
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    given = {name: filled(value, chosen) for name, value in compose["services"][service]["environment"].items()}
    keys = tmp_path / "root.keys"
    keys.write_text("1:" + base64.b64encode(bytes(range(32))).decode())
    secrets = {"/run/secrets/root_keys": str(keys), "/run/secrets/database_url": f"{tmp_path}/database_url"}
    (tmp_path / "database_url").write_text(f"sqlite:///{tmp_path}/synqmgr.sqlite3")
    environment = {**image, **{name: secrets.get(value, value) for name, value in given.items()}}
    environment |= {"PATH": os.environ["PATH"], "SYNQMGR_DATA": str(tmp_path)}
    for command in (["migrate", "--verbosity=0"], ["check", "--database=default"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["SYNQMGR_PUBLIC_URL", "SYNQMGR_ALLOWED_HOSTS"])
def test_compose__what_only_operators_know__is_asked_for(name: str) -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    with pytest.raises(AssertionError, match=f"{name}: set it .* docs/production.md"):
        filled(compose["services"]["web"]["environment"][name], {})


def filled(value: str, chosen: dict[str, str]) -> str:
    """A value of the compose file as Compose fills it: `${NAME:-default}`, and `${NAME:?why it is needed}`."""

    def fill(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if not chosen.get(name):
            assert kind == "-", f"{name}: {text}"
        return chosen.get(name) or text

    return re.sub(r"\$\{([A-Z_]+):([-?])([^}]*)\}", fill, value)


def test_compose__database__is_made_as_the_manual_makes_it() -> None:
    statements = (ROOT / "deploy" / "database.sql").read_text().replace(":'password'", "'...'")
    manual = (ROOT / "docs" / "production.md").read_text()
    made = re.findall(r"^    ((?:CREATE|GRANT) .*;)$", manual, re.MULTILINE)
    assert len(made) == 4
    assert all(each in statements for each in made)


def test_configuration__every_variable__is_in_the_manual() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "synqmgr" / "settings.py").read_text()))
    assert {"SYNQMGR_DATA", "SYNQMGR_RETENTION", "WORKERS"} <= read
    manual = (ROOT / "docs" / "configuration.md").read_text()
    assert {name for name in read | {"DATABASE_URL"} if f"`{name}`" not in manual} == set()


def test_configuration__every_variable_empty__is_as_if_none_were_set(tmp_path: Path) -> None:
    text = (ROOT / "synqmgr" / "settings.py").read_text()
    names = {*re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', text), "SYNQMGR_WORKER_METRICS"}
    environment = dict.fromkeys(names, "") | {"PATH": os.environ["PATH"], "SYNQMGR_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_retention__every_rule__is_in_the_manual_with_its_days() -> None:
    manual = (ROOT / "docs" / "production.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+|off) \|", manual, re.MULTILINE))
    assert told == {name: str(rule.days or "off") for name, rule in settings.RETENTION.items()}


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
