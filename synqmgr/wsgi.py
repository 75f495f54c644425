"""WSGI entry point. Starting refuses unsafe settings, missing keys and the like, in one line."""

import gc
import os
import signal
import threading

# A worker is forked with the handlers of the server's parent process, which would swallow the order to stop while it
# still loads; the server sets a worker's own once this module is there.
signal.signal(signal.SIGTERM, signal.SIG_DFL)

import django  # noqa: E402 - what takes long comes after
from django.core import signals  # noqa: E402
from django.core.cache import close_caches  # noqa: E402
from django.core.handlers.base import reset_urlconf  # noqa: E402
from django.db import close_old_connections, connections  # noqa: E402

from core.environment import refusing  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
with refusing():
    django.setup(set_prefix=False)
# Nothing here is a coroutine: a plain thread-local holds the connections, and nobody looks for an event loop first.
del connections._connections  # type: ignore[attr-defined] # fails should Django rename it
connections._connections = threading.local()  # type: ignore[attr-defined]

from core.checks import refuse_unsafe_settings  # noqa: E402 - these need the loaded apps
from core.crypto.startup import verify_keys  # noqa: E402
from core.requests import Handler  # noqa: E402
from core.rowsecurity import announce  # noqa: E402
from synqmgr import urls  # noqa: E402, F401 - loaded here, so that no request waits for it

application = Handler()

# What costs each request and does nothing here: there is no cache, no second URL configuration, and the handler itself
# sees to its connection.
signals.request_finished.disconnect(close_caches)
signals.request_finished.disconnect(close_old_connections)
signals.request_finished.disconnect(reset_urlconf)
with refusing():
    refuse_unsafe_settings()
    verify_keys()
    announce()
gc.freeze()  # what is loaded now lives as long as the process: full collections need not walk it
gc.set_threshold(10_000, 20, 20)  # a page of a list makes a thousand objects and leaves none; a request leaves a few
