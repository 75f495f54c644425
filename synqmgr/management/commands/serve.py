"""`manage.py serve`: from nothing to a running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

from core.checks import refuse_unsafe_settings
from core.crypto.startup import verify_keys
from core.logs import standard_logging

# Of each worker. SQLite has one writer, more threads only wait; the second is for a bridge's agent, which brings the
# answer that the first may be waiting for.
THREADS = {"sqlite": "2", "postgresql": "4"}
SECONDS_TO_STOP = 20  # for what is being answered when the server is told to stop; outbound requests end within 15


class Command(BaseCommand):
    help = (
        "Makes what is missing (key file, tables, the first organization), starts a worker beside it and serves. In "
        "production it makes tables alone, and `manage.py bootstrap` the first organization and its token. "
        "Reads HOST (127.0.0.1), PORT (8000) and WORKERS (2) from the environment."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe_settings()
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        if not settings.ROOT_KEYS and not settings.ROOT_KEY_FILE.exists() and not settings.PRODUCTION:
            call_command("create_keys", stdout=self.stdout)  # refuses when the database needs a key that is lost
        call_command("migrate", verbosity=0, interactive=False)
        verify_keys()
        host, port = settings.HOST, settings.PORT
        address = f"http://{'localhost' if host in ('127.0.0.1', '::1', '0.0.0.0') else host}:{port}"  # noqa: S104
        self.stdout.write(f"API                   {address}/v1")
        self.stdout.write(f"API docs              {address}/docs  {address}/redoc  {address}/openapi.yaml")
        if settings.PRODUCTION:  # where what is printed is kept, and read by others
            self.stdout.write("administrator token   `manage.py bootstrap` makes one and prints it")
        else:
            call_command("bootstrap", if_new=True, stdout=self.stdout)
        self.stdout.flush()
        connection.close()
        self.replace_process(host, port)

    @staticmethod
    def replace_process(host: str, port: int) -> None:
        """Becomes the server, so that signals reach it."""
        metrics: Path = settings.DATA_DIR / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        workers, threads = settings.WORKERS, THREADS[connection.vendor]
        arguments = ["--interface", "wsgi", "--no-ws", "--no-access-log", "--host", host, "--port", str(port)]
        arguments += ["--workers", str(workers), "--blocking-threads", threads, "--respawn-failed-workers"]
        arguments += ["--workers-kill-timeout", str(SECONDS_TO_STOP)]
        logs: Path = settings.DATA_DIR / "granian-logs.json"
        logs.write_text(json.dumps(standard_logging(settings.LOG_LEVEL)))
        arguments += ["--log-config", str(logs)]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        command = [sys.executable, "-m", "granian", *arguments, "synqmgr.wsgi:application"]
        os.chdir(settings.BASE_DIR)
        if settings.SERVE_WORKER and not settings.CELERY_BROKER_URL:
            keeper = [sys.executable, "manage.py", "run_worker", f"--beside={os.getpid()}"]
            subprocess.Popen(keeper, env=environment)  # noqa: S603 - our own command
        os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
