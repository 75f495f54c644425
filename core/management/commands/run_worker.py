"""`manage.py run_worker`: does what the run ledger says is due."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from core.checks import refuse_unsafe_settings
from core.crypto.startup import verify_keys
from core.ledger.worker import WorkerLoop
from core.metrics import serve_counts

RESTART_AFTER = 1.0  # seconds


class Command(BaseCommand):
    help = (
        "Delivers webhooks and runs whatever else is due, until it is told to stop (SIGTERM, SIGINT). "
        "Any number of workers, on any number of machines, share the work."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=settings.WORKER_THREADS, help="runs at the same time")
        parser.add_argument(
            "--beside", type=int, metavar="PID", help="keep one worker running for as long as this parent process lives"
        )
        parser.add_argument("--kept", action="store_true", help="stop when the process that started it is gone")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["beside"]:
            keep(options["beside"], options["threads"])
            return
        refuse_unsafe_settings()
        verify_keys()
        # One beside a server shares the folder that the server reads.
        if settings.WORKER_METRICS and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            serve_counts()
        loop = WorkerLoop(options["threads"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        if options["kept"]:
            follow(os.getppid(), loop)
        if loop.run():
            os._exit(
                1
            )  # the interpreter would wait for the threads; another worker does their work when its lease ends


def keep(parent: int, threads: int) -> None:
    """Starts a worker again whenever it ends, until the parent is gone; then ends it too."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "run_worker", f"--threads={threads}", "--kept"]
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker = subprocess.Popen(command)  # noqa: S603 - our own command
    while os.getppid() == parent and not stopping.wait(0.5):
        if worker.poll() is not None:
            stopping.wait(RESTART_AFTER)
            worker = subprocess.Popen(command)  # noqa: S603 - our own command
    worker.terminate()
    worker.wait()


def follow(parent: int, loop: WorkerLoop) -> None:
    """Stops the loop when whoever started it was killed, so that no worker is left behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        loop.stop()

    threading.Thread(target=watch, daemon=True).start()
