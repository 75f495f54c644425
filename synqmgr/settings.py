"""Every setting. What varies comes from the environment and is read here, nowhere else."""

from pathlib import Path

import django_stubs_ext
from django.core.management.utils import get_random_secret_key

from core.environment import Environment
from core.limits.policies import read_limits
from core.logs import configure
from core.retention import read_retention

django_stubs_ext.monkeypatch()  # lets annotations name the type inside a generic Django class
env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- what varies -------------------------------------------------------------------------------
DATA_DIR = Path(env.text("SYNQMGR_DATA", str(BASE_DIR / "data"))).resolve()
PRODUCTION = env.flag("SYNQMGR_PRODUCTION", default=False)
DEBUG = env.flag("SYNQMGR_DEBUG", default=False)
ALLOWED_HOSTS = env.items("SYNQMGR_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
# Root keys: "1:<base64 of 32 bytes>,2:..." in the environment, or a file with one such entry a line.
ROOT_KEYS = env.text("SYNQMGR_ROOT_KEYS")
ROOT_KEY_FILE = Path(env.text("SYNQMGR_KEY_FILE", str(DATA_DIR / "root.keys")))
OUTBOUND_ALLOW = env.networks("SYNQMGR_OUTBOUND_ALLOW")
TRUSTED_PROXIES = env.number("SYNQMGR_TRUSTED_PROXIES", 0, least=0, most=100)  # reverse proxies before the server
ADDRESS_HEADER = env.header("SYNQMGR_ADDRESS_HEADER", "X-Forwarded-For")  # in which they tell the client's address
METRICS_TOKEN = env.text("SYNQMGR_METRICS_TOKEN")  # who may read /metrics; empty: this machine only
EXPLICIT = {
    name
    for name in ("SYNQMGR_ROOT_KEYS", "SYNQMGR_KEY_FILE", "SYNQMGR_ALLOWED_HOSTS", "SYNQMGR_PUBLIC_URL")
    if env.has(name)
}
HOST, PORT = env.text("HOST", "127.0.0.1"), env.number("PORT", 8000, most=65_535)  # of manage.py serve
PUBLIC_URL = env.address("SYNQMGR_PUBLIC_URL", f"http://localhost:{PORT}")  # as browsers reach it
RETURN_TO = env.items("SYNQMGR_RETURN_TO")  # where a sign-in may send the browser when it is done
WORKERS = env.number("WORKERS", 2, most=1000)
SERVE_WORKER = env.flag("SYNQMGR_SERVE_WORKER", default=True)  # whether `manage.py serve` starts a worker beside it
WORKER_THREADS = env.number("SYNQMGR_WORKER_THREADS", 8, most=1000)  # runs that one worker does at the same time
WORKER_METRICS = env.text("SYNQMGR_WORKER_METRICS")  # address:port of the metrics of a worker of its own
LOG_LEVEL = env.choice("SYNQMGR_LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"])

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
    env.text("SYNQMGR_LIMITS"),
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
    env.text("SYNQMGR_RETENTION"),
)
# Row level security on PostgreSQL: auto (where the login role allows it), on (else refuse to start) or off.
ROW_SECURITY = env.choice("SYNQMGR_ROW_SECURITY", "auto", ["auto", "on", "off"])
TENANT_ROLE = env.text("SYNQMGR_TENANT_ROLE", "synqmgr_tenant")  # what requests act as
REDIS_URL = env.redis("SYNQMGR_REDIS_URL")
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL")  # Celery workers then do what is due, woken at once
CELERY_QUEUE = env.text("SYNQMGR_CELERY_QUEUE", "synqmgr")

# Signs nothing that outlives the process: there are no cookies, sessions or reset links.
SECRET_KEY = env.text("SYNQMGR_SECRET_KEY", get_random_secret_key())

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
RUN_LEASE = env.number("SYNQMGR_RUN_LEASE", 60)  # seconds until the work of a dead worker is another's
FAULT_FOLDER = env.text("SYNQMGR_FAULT_FOLDER")  # of tests alone, see core.faults
# What does each kind of run in the ledger.
RUN_KINDS = {
    "delivery": "events.deliveries.sending.WORK",
    "webhook-clearing": "events.webhooks.clearing.work",
    "operation": "integrations.operations.runner.WORK",
}
DOORBELL = "synqmgr.celery.ring" if CELERY_BROKER_URL else ""  # wakes workers that do not look for themselves
ACTIVITY_RECORDER = "events.services"
# What ends on the floors above with a row: its noun -> functions that take its id.
ENDINGS = {"account": ("integrations.operations.services.end_account",)}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
APPEND_SLASH = False
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages themselves: nothing to collect
LOGGING_CONFIG = None
configure(LOG_LEVEL)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["identity.tokens.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],  # core.views.ScopedViewSet decides
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
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'synqmgr.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = None  # a connection a thread: taking one from a pool costs more than a query
IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
DATABASES["default"]["ENGINE"] = "core.sqlite" if IS_SQLITE else "core.postgresql"
if IS_SQLITE:
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
            "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;",
        },
        "TEST": {"NAME": ":memory:"},  # as for Django's own engine
    }
else:
    DATABASES["default"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | {
        "server_side_binding": True,
        "prepare_threshold": None,  # core.postgresql.direct prepares: the driver's own would take its statements away
    }
# How many requests of a process may wait for the agent of a bridge at once: a thread must be left to take the answer.
BRIDGE_WAITS = env.number("SYNQMGR_BRIDGE_WAITS", 1 if IS_SQLITE else 3)
