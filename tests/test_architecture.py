"""The house rules that a machine can hold: who imports whom, who leaves the tenant's scope, how long a file is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
ROOF = "synqmgr"
AGENT = "bridge"  # runs elsewhere and is no app; it stands beside the roof, so nothing imports it
# Lines that a thing may have, and arguments. Past one, name the second concept.
FILE, TEST_FILE, FUNCTION, VIEWSET, SETTINGS, ARGUMENTS = 300, 400, 40, 120, 200, 5
# What is beyond a budget all the same, and why.
BEYOND_BUDGET = {
    "core/errors.py: __init__ has 7 arguments": "the parts of a problem, each with its name",
    "identity/sessions/services.py: change_password has 6 arguments": "what the change needs, and the news of it",
    "identity/sso/sign_on.py: SignOnViewSet has 151 lines": "both ways to sign on share its answers",
}

# Who may see every organization's rows, and why.
UNSCOPED = {
    "core/crypto/hierarchy.py": "a root key wraps the keys of every organization",
    "core/crypto/startup.py": "a root key wraps the keys of every organization",
    "core/management/commands/rotate_keys.py": "a root key wraps the keys of every organization",
    "synqmgr/doctor/keys.py": "the operator proves every organization's keys",
    "core/pruning.py": "rows end by their age, whosever they are",
    "core/ledger/backlog.py": "a worker serves every organization",
    "core/ledger/services.py": "a worker serves every organization",
    "core/names.py": "the name of an organization is unique among all",
    "organizations/services.py": "the operator names any organization",
    "events/deliveries/services.py": "deliveries end by their age, whosever they are",
    "events/audit/chains.py": "the operator looks after every organization's log",
    "identity/sessions/services.py": "finds the organization of somebody who is only about to log on",
    "identity/sso/attempts.py": "finds the organization of who is about to sign on; sign-ins end by their age",
    "identity/management/commands/bootstrap.py": "looks for the root organization before any scope exists",
}
# Who writes an organization on a row: everywhere else it comes from the scope.
ORGANIZATION_WRITTEN = {
    "accounts/management/commands/seed_accounts.py": "rows written in bulk, which `save` never sees",
    "core": "the ground that keeps the rule",
    "credentials/services.py": "the place a secret is sealed for, which is no row",
    "events/audit/services.py": "the end of an organization's chain, by statements made once",
    "identity/services.py": "the key of the organization that is being made or deleted",
    "integrations/bridges/credentials.py": "whose key signs, which is no row",
    "identity/sso/services.py": "the place a secret is sealed for, which is no row",
}
# What is imported by its first use only, and by whom. A worker that has just started has none of it.
LATE_MODULES = {
    "catalog/customs/definitions.py": {"jsonschema_rs"},
    "catalog/registry.py": {"jsonschema_rs"},
    "integrations/billing/services.py": {"tarfile"},
    "integrations/bridges/answers.py": {"httpx2"},
    "integrations/bridges/credentials.py": {"joserfc.errors", "joserfc.jwk", "joserfc.jwt"},
    "core/outbound/client.py": {"httpcore2", "httpx2", "core.outbound.connection"},
    "identity/members/passwords.py": {"zxcvbn"},
    "identity/sso/certificates.py": {
        "cryptography.x509",
        "cryptography.hazmat.primitives.asymmetric.ec",
        "cryptography.hazmat.primitives.asymmetric.rsa",
    },
    "identity/sso/discovery.py": {"joserfc.errors", "joserfc.jwk"},
    "identity/sso/id_tokens.py": {"joserfc.errors", "joserfc.jws", "joserfc.util"},
    "identity/sso/saml.py": {"lxml.etree", "identity.sso.signatures"},
    "identity/sso/xml.py": {"lxml.etree"},
}
# Nor what only tests and the making of openapi.yaml need.
NEVER_IN_A_WORKER = {
    "signxml",
    "drf_spectacular.openapi",
    "drf_spectacular.plumbing",
    "django.test",
    "pytest",
    "selenium",
}
# Functions that import when they are called, and why.
LATE_IMPORTS: dict[str, str] = {
    "bench/logon.py": "the settings must be in the environment first",
    "tests/access/write.py": "Django must be set up first",
}


def python_files(*folders: str) -> Iterator[Path]:
    """The project's modules, migrations apart: those are generated."""
    for folder in folders or (*settings.APPS, ROOF, AGENT, "tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def listed(path: Path, listing: dict[str, str]) -> bool:
    """Whether a list of exceptions has the file or its folder."""
    name = relative(path)
    return any(name == each or name.startswith(f"{each}/") for each in listing)


def test_imports__by_floor__go_downwards_only(tmp_path: Path) -> None:
    layers = "\n".join("    " + " | ".join(floor) for floor in ((ROOF, AGENT), *settings.FLOORS))
    packages = "\n".join(f"    {name}" for name in (ROOF, AGENT, *settings.APPS))
    config = tmp_path / "floors.ini"
    config.write_text(
        f"[importlinter]\nroot_packages =\n{packages}\n\n"
        f"[importlinter:contract:floors]\nname = Floors\ntype = layers\nlayers =\n{layers}\n"
    )
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", str(config), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def test_floors__every_app__stands_on_one() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert sorted(settings.APPS) == sorted(folders)
    assert len(settings.APPS) == len(set(settings.APPS))


def test_unscoped__callers__are_the_listed() -> None:
    callers = set()
    for path in python_files(*settings.APPS, ROOF):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "unscoped":
                assert node.args, f"{relative(path)}: say why"
                callers.add(relative(path))
    assert callers == set(UNSCOPED)


def test_organization__written__only_where_listed() -> None:
    """As a keyword, or by assignment to an attribute. Filtering by it is a query, which the scope narrows anyway."""
    found = set()
    for path in python_files(*settings.APPS, ROOF):
        for node in ast.walk(tree_of(path)):
            if writes_organization(node) and not listed(path, {"core": ""}):
                found.add(relative(path))
    assert found == set(ORGANIZATION_WRITTEN) - {"core"}


def writes_organization(node: ast.AST) -> bool:
    names = {"organization", "organization_id"}
    if isinstance(node, ast.Call):
        callee = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return callee != "Activity" and any(keyword.arg in names for keyword in node.keywords)
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Attribute) and target.attr in names for target in node.targets)
    return False


def test_models__changed__have_a_migration(db: None) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
    named = [path.stem for path in ROOT.glob("*/migrations/0*.py")]
    assert named
    assert [name for name in named if "initial" in name or "_auto_" in name] == []


def test_files__every__are_short_and_named_for_what_they_hold() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > most_lines(name)} == {}
    vague = [relative(path) for path in python_files() if path.stem in ("utils", "util", "helpers", "helper", "misc")]
    assert vague == []


def most_lines(name: str) -> int:
    if name == "synqmgr/settings.py":
        return SETTINGS
    return TEST_FILE if name.startswith("tests/") else FILE


def test_functions_and_viewsets__every__keep_to_their_budgets() -> None:
    found = set()
    for path in python_files(*settings.APPS, ROOF, AGENT):
        for node in ast.walk(tree_of(path)):
            found |= {f"{relative(path)}: {beyond}" for beyond in beyond_budget(node)}
    assert found == set(BEYOND_BUDGET)


def beyond_budget(node: ast.AST) -> Iterator[str]:
    """What a function or a viewset has too much of."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments = sum(each.arg not in ("self", "cls") for each in given)
        if arguments > ARGUMENTS:
            yield f"{node.name} has {arguments} arguments"
        if (lines := lines_of(node)) > FUNCTION:
            yield f"{node.name} has {lines} lines"
    if isinstance(node, ast.ClassDef) and node.name.endswith("ViewSet") and (lines := lines_of(node)) > VIEWSET:
        yield f"{node.name} has {lines} lines"


def lines_of(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules__every__open_with_a_line_on_what_lives_there() -> None:
    silent = [
        relative(path) for path in python_files() if path.read_text().strip() and not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


def test_imports__inside_functions__are_the_listed() -> None:
    late = set()
    for path in python_files():
        tree = tree_of(path)
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            if is_import and id(node) not in top and not under_type_checking(tree, node):
                late.add(relative(path))
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), f"a star in {relative(path)}"
    assert late == set(LATE_IMPORTS)


def test_late_modules__users__are_the_listed() -> None:
    """A module is late for its size, never to hide an import from the floors: type checkers see it as it is."""
    found: dict[str, set[str]] = {}
    for path in python_files(*settings.APPS, ROOF):
        tree = tree_of(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "LateModule":
                [name] = node.args
                assert isinstance(name, ast.Constant)
                found.setdefault(relative(path), set()).add(str(name.value))
    assert found == LATE_MODULES


def test_worker__just_started__has_loaded_nothing_that_few_requests_need(tmp_path: Path) -> None:
    code = "import sys; import synqmgr.wsgi; print(*sys.modules)"
    environment = {**os.environ, "SYNQMGR_DATA": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/test.sqlite3"}
    for arguments in (["manage.py", "migrate", "-v0"], ["manage.py", "create_keys"], ["-c", code]):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    late = NEVER_IN_A_WORKER.union(*LATE_MODULES.values())
    assert sorted(late & set(done.stdout.split())) == []


def under_type_checking(tree: ast.Module, node: ast.AST) -> bool:
    blocks = [
        each for each in tree.body if isinstance(each, ast.If) and getattr(each.test, "id", "") == "TYPE_CHECKING"
    ]
    return any(node in ast.walk(block) for block in blocks)


def test_tests__every__are_functions_with_three_part_names() -> None:
    wrong = []
    for path in python_files("tests"):
        if not path.name.startswith("test_"):
            continue
        for node in ast.walk(tree_of(path)):
            name = getattr(node, "name", "")
            if isinstance(node, ast.ClassDef) and name.startswith("Test"):
                wrong.append(f"{relative(path)}: {name} is a class")
            if isinstance(node, ast.FunctionDef) and name.startswith("test_") and not 2 <= len(name.split("__")) <= 3:
                wrong.append(f"{relative(path)}: {name}")
    assert wrong == []
