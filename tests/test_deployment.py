"""What operators build and start: the recipe of the image and the compose file, accepted by linters, with every app."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings

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
