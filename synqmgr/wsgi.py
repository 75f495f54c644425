"""WSGI entry point. Starting refuses unsafe settings, missing keys and networks that cannot be read."""

import gc
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
application = get_wsgi_application()

from core.checks import refuse_unsafe_settings  # noqa: E402 - these need the loaded apps
from core.crypto.startup import verify_keys  # noqa: E402
from core.outbound.networks import parse_networks  # noqa: E402
from core.requests import BareRequest  # noqa: E402

application.request_class = BareRequest

refuse_unsafe_settings()
verify_keys()
parse_networks(tuple(settings.OUTBOUND_ALLOW))
gc.freeze()  # what is loaded now lives as long as the process: full collections need not walk it
