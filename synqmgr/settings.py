"""Every setting. What varies comes from the environment and is read here, nowhere else."""

import os
from pathlib import Path

import django_stubs_ext
import environ
from django.core.management.utils import get_random_secret_key

from core.limits.policies import read_limits
from core.logs import configure
from core.retention import read_retention

django_stubs_ext.monkeypatch()  # lets annotations name the type inside a generic Django class
env = environ.FileAwareEnv()
env.ENVIRON = environ.FileAwareMapping({name: value for name, value in os.environ.items() if value})  # empty is not set
BASE_DIR = Path(__file__).resolve().parent.parent

# --- what varies -------------------------------------------------------------------------------
DATA_DIR = Path(env.str("SYNQMGR_DATA", default=str(BASE_DIR / "data"))).resolve()
PRODUCTION = env.bool("SYNQMGR_PRODUCTION", default=False)
DEBUG = env.bool("SYNQMGR_DEBUG", default=False)
ALLOWED_HOSTS = env.list("SYNQMGR_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# Root keys: "1:<base64 of 32 bytes>,2:..." in the environment, or a file with one such entry a line.
ROOT_KEYS = env.str("SYNQMGR_ROOT_KEYS", default="")
ROOT_KEY_FILE = Path(env.str("SYNQMGR_KEY_FILE", default=str(DATA_DIR / "root.keys")))
OUTBOUND_ALLOW = env.list("SYNQMGR_OUTBOUND_ALLOW", default=[])  # networks in CIDR notation
TRUSTED_PROXIES = env.int("SYNQMGR_TRUSTED_PROXIES", default=0)  # reverse proxies in front of the server
METRICS_TOKEN = env.str("SYNQMGR_METRICS_TOKEN", default="")  # who may read /metrics; empty: this machine only
EXPLICIT = {
    name
    for name in ("SYNQMGR_ROOT_KEYS", "SYNQMGR_KEY_FILE", "SYNQMGR_ALLOWED_HOSTS", "SYNQMGR_PUBLIC_URL")
    if name in env.ENVIRON or f"{name}_FILE" in env.ENVIRON
}
HOST, PORT = env.str("HOST", default="127.0.0.1"), env.str("PORT", default="8000")  # of manage.py serve
PUBLIC_URL = env.str("SYNQMGR_PUBLIC_URL", default=f"http://localhost:{PORT}").rstrip("/")  # as browsers reach it
RETURN_TO = env.list("SYNQMGR_RETURN_TO", default=[])  # where a sign-in may send the browser when it is done
WORKERS = env.str("WORKERS", default="2")
SERVE_WORKER = env.bool("SYNQMGR_SERVE_WORKER", default=True)  # whether `manage.py serve` starts a worker beside it
WORKER_THREADS = env.int("SYNQMGR_WORKER_THREADS", default=8)  # runs that one worker does at the same time
WORKER_METRICS = env.str("SYNQMGR_WORKER_METRICS", default="")  # address:port of the metrics of a worker of its own
LOG_LEVEL = env.str("SYNQMGR_LOG_LEVEL", default="INFO")

# Requests that each subject may make: name -> (subject, requests, seconds). A surface's policy has the surface's name.
LIMITS = read_limits(
    {
        "stranger": ("address", 60, 60),  # without a valid token
        "open": ("address", 120, 60),  # operations that need no token, such as logging on
        "token": ("token", 6_000, 60),
        "organization": ("organization", 30_000, 60),
        "bridge": ("bridge", 6_000, 60),  # what its agents ask, each once a second when idle
        "syncro": ("address", 180, 60),  # what clients of that API are written for
    },
    env.str("SYNQMGR_LIMITS", default=""),
)
# Days that rows are kept: name -> (a function that deletes what is older, days). 0 days are for ever.
RETENTION = read_retention(
    {
        "runs": ("core.ledger.services.prune_runs", 30),
        "workers": ("core.ledger.services.prune_workers", 1),
        "idempotency_keys": ("core.idempotency.services.prune_requests", 1),
        "logon_attempts": ("identity.sessions.attempts.prune_attempts", 1),
        "sign_ins": ("identity.sso.attempts.prune_sign_ins", 1),
        "audit": ("events.audit.retention.prune_audit", 0),
        "bridge_requests": ("integrations.bridges.agents.prune_requests", 1),
        "deliveries": ("events.deliveries.services.prune_deliveries", 30),
        "executions": ("integrations.operations.services.prune_executions", 28),
        "status_events": ("integrations.status.services.prune_events", 30),
        "status_hours": ("integrations.status.services.prune_hours", 400),
        "usage": ("integrations.billing.services.prune_usage", 0),
    },
    env.str("SYNQMGR_RETENTION", default=""),
)
# Row level security on PostgreSQL: auto (where the login role allows it), on (else refuse to start) or off.
ROW_SECURITY = env.str("SYNQMGR_ROW_SECURITY", default="auto").lower()
TENANT_ROLE = env.str("SYNQMGR_TENANT_ROLE", default="synqmgr_tenant")  # what requests act as
REDIS_URL = env.str("SYNQMGR_REDIS_URL", default="")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")  # Celery workers then do what is due, woken at once
CELERY_QUEUE = env.str("SYNQMGR_CELERY_QUEUE", default="synqmgr")

# Signs nothing that outlives the process: there are no cookies, sessions or reset links.
# The random one is no `default=`: django-environ takes a default that begins with `$` for another variable's name.
SECRET_KEY = env.str("SYNQMGR_SECRET_KEY", default="") or get_random_secret_key()

# --- architecture ------------------------------------------------------------------------------
# Top to bottom: an app imports only from rows below its own. The import contract, INSTALLED_APPS
# and the URL mount read this list.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("integrations",),
    ("events",),
    ("credentials", "catalog"),
    ("accounts",),
    ("identity",),
    ("organizations",),
    ("core",),
)
APPS = [app for floor in FLOORS for app in floor]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *reversed(APPS),
    "synqmgr",
]
MIDDLEWARE = ["core.middleware.RequestMiddleware", "whitenoise.middleware.WhiteNoiseMiddleware"]
ROOT_URLCONF = "synqmgr.urls"
WSGI_APPLICATION = "synqmgr.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ORGANIZATION_MODEL = "organizations.Organization"
ACCOUNT_MODEL = "accounts.Account"
TENANT_LOOKUP = "identity.tokens.authentication.SECRETS"  # finds the tenant of a request, before any scope
RUN_LEASE = env.int("SYNQMGR_RUN_LEASE", default=60)  # seconds until the work of a dead worker is another's
FAULT_FOLDER = env.str("SYNQMGR_FAULT_FOLDER", default="")  # of tests alone, see core.faults
# What does each kind of run in the ledger.
RUN_KINDS = {
    "delivery": "events.deliveries.sending.WORK",
    "operation": "integrations.operations.runner.WORK",
}
DOORBELL = "synqmgr.celery.ring" if CELERY_BROKER_URL else ""  # wakes workers that do not look for themselves
ACTIVITY_RECORDER = "events.services.record"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
APPEND_SLASH = False
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages themselves: nothing to collect
LOGGING_CONFIG = None
configure(LOG_LEVEL)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["identity.tokens.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],  # core.views.ScopedViewSet decides
    "EXCEPTION_HANDLER": "core.problems.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "synqmgr Management API",
    "VERSION": "0.1.0",
    "LICENSE": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "SERVERS": [{"url": "/", "description": "This service"}],
    "COMPONENT_SPLIT_REQUEST": True,
    "DEFAULT_GENERATOR_CLASS": "core.schema.Generator",
    "POSTPROCESSING_HOOKS": ["core.schema.document.finish"],
}

# --- database ----------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'synqmgr.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = None  # a connection a thread: taking one from a pool costs more than a query
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
            "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;",
        },
    }
else:
    DATABASES["default"]["ENGINE"] = "core.postgresql"
    DATABASES["default"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | {
        "server_side_binding": True,
        "prepare_threshold": 5,  # what runs more often than this is planned once a connection
    }
# How many requests of a process may wait for the agent of a bridge at once: a thread must be left to take the answer.
BRIDGE_WAITS = env.int(
    "SYNQMGR_BRIDGE_WAITS", default=1 if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3" else 3
)
