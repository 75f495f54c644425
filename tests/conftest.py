"""The suite's ground: keys and a data folder of its own, and the fixed cast of every test."""

from __future__ import annotations

import base64
import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings

from core.crypto.hashing import forget_keys, keyed_hash
from core.crypto.models import OrganizationKey, SystemKey
from core.tenancy import scoped, unscoped
from identity.permissionsets.sets import Permissions
from organizations.models import Organization
from tests.api import Api, open_organization
from tests.server import Server, serving

hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
hypothesis.settings.load_profile("suite")

_ID_IN_ANY_SPELLING = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def pytest_configure(config: pytest.Config) -> None:
    folder = Path(tempfile.mkdtemp(prefix="synqmgr-tests-"))
    settings.DATA_DIR = folder
    settings.ROOT_KEY_FILE = folder / "root.keys"
    settings.LIMITS = {name: dataclasses.replace(policy, limit=0) for name, policy in settings.LIMITS.items()}
    settings.ROOT_KEYS = f"1:{base64.b64encode(os.urandom(32)).decode()}"
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


# What takes long, mostly by waiting: it comes first, so that no worker of a parallel run is left with it at the end.
LONG = (
    "tests/faults/",
    "tests/client/test_published_errors.py",
    "tests/client/test_schemathesis.py",
    "tests/client/test_generated_client.py",
    "tests/test_celery.py",
    "tests/bridge/test_live.py",
    "tests/test_commands.py",
    "tests/test_backup.py",
    "tests/events/test_live_delivery.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG)))


def pytest_make_parametrize_id(val: object) -> str | None:
    """A new id is another in each worker of a parallel run, which must all collect the same tests."""
    named, found = _ID_IN_ANY_SPELLING.subn("an-id", val) if isinstance(val, str) else ("", 0)
    return named if found else None


_CAST: dict[str, Api] = {}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The fixed cast is made once for each database: doing it in each test would take as long as all else."""
    with django_db_blocker.unblock():
        _CAST.update({name: open_organization(name) for name in ("acme", "globex")})


def member_of_cast(name: str) -> Api:
    """The administrator of one of the cast, which is made anew where a test has emptied the tables."""
    known = _CAST[name]
    with scoped(known.scope):
        is_there = Organization.objects.filter(id=known.id).exists()
    return known if is_there else open_organization(name)


@pytest.fixture
def nothing_stored(db: None) -> Iterator[None]:
    """Neither organizations nor keys, for this test alone."""
    with unscoped("the cast is of two organizations"):
        for model in (Organization, OrganizationKey, SystemKey):
            model._base_manager.all().delete()
    forget_keys()
    yield
    forget_keys()


@pytest.fixture
def _hash_key(db: None, django_capture_on_commit_callbacks: Any) -> None:
    """Keeps the keys of hashes in memory, as they are in a server that has answered once."""
    with django_capture_on_commit_callbacks(execute=True):
        keyed_hash("warm")
        keyed_hash("warm", "audit")


@pytest.fixture
def acme(_hash_key: None) -> Api:
    """The administrator of the organization most tests are about."""
    return member_of_cast("acme")


@pytest.fixture
def globex(_hash_key: None) -> Api:
    """The administrator of the neighbour."""
    return member_of_cast("globex")


@pytest.fixture
def reader(acme: Api) -> Api:
    """Sees everything of acme and changes nothing."""
    return acme.issue(Permissions.VIEWER)


@pytest.fixture
def stranger(globex: Api) -> Api:
    """All rights in globex, none in acme: sent against acme's objects."""
    return globex.issue()


@pytest.fixture
def nobody(db: None) -> Api:
    """No token."""
    return Api("")


@pytest.fixture
def in_acme(acme: Api) -> Iterator[None]:
    """Acme's scope, for tests that call services or query tables."""
    with scoped(acme.scope):
        yield


@pytest.fixture(scope="session")
def live_server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for the session (of each xdist worker); tests share its data and keep to their own."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server
