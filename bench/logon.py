"""`python -m bench.logon`: whether the time of a failed log-on tells a known name from an unknown one.

Samples are interleaved, each from an address of its own so that none has to wait. Prints medians in milliseconds of
processor time and, for each kind, how often it is slower than a known name: one half when nothing can be told.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import os
import statistics
import tempfile
import time
from bisect import bisect_left, bisect_right
from pathlib import Path

SECRET = "seven horses eat paper"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000, help="of each kind (default: 2000)")
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "synqmgr.settings",
            "DATABASE_URL": f"sqlite:///{Path(folder) / 'logon.sqlite3'}",
            "SYNQMGR_DATA": folder,
            "SYNQMGR_ROOT_KEYS": f"1:{base64.b64encode(os.urandom(32)).decode()}",
            "SYNQMGR_LIMITS": "off",
            "SYNQMGR_LOG_LEVEL": "ERROR",
        }
        taken = measure(samples)
    known = sorted(taken["known name"])
    for kind, times in taken.items():
        slower = sum((bisect_left(known, t) + bisect_right(known, t)) / 2 for t in times) / len(known) / len(times)
        print(f"{kind:22} median {statistics.median(times) * 1e3:7.3f} ms, slower than a known name: {slower:.3f}")


def measure(samples: int) -> dict[str, list[float]]:
    """Seconds of processor time of each failed log-on, by what was wrong."""
    import django  # noqa: PLC0415 - the settings come first

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from core.columns import new_id  # noqa: PLC0415
    from core.tenancy import Scope, scoped  # noqa: PLC0415
    from identity.members.services import MemberSpec, create_member  # noqa: PLC0415
    from identity.services import open_organization  # noqa: PLC0415
    from organizations.models import OrganizationType  # noqa: PLC0415
    from organizations.services import create_organization  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    organization = create_organization(name="bench", fullname="Bench", organization_type=OrganizationType.ROOT)
    open_organization(of=organization)
    with scoped(Scope(organization.id)):
        create_member(spec=MemberSpec(name="known@example.com", secret=SECRET), by=None)
    kinds = {
        "known name": (organization.id, "known@example.com"),
        "unknown name": (organization.id, "somebody@example.com"),
        "unknown organization": (new_id(), "known@example.com"),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    client = Client(headers={"Host": "localhost"})
    addresses = (f"10.{a}.{b}.{c}" for a, b, c in itertools.product(range(256), repeat=3))
    for number in range(samples + 50):
        for kind, (organization_id, name) in kinds.items():
            body = {"name": name, "secret": f"wrong {number}"}
            path, address = f"/v1/auth/logon/{organization_id}", next(addresses)
            began = time.process_time()
            answer = client.post(path, body, content_type="application/json", REMOTE_ADDR=address)
            spent = time.process_time() - began
            if answer.status_code != 401:
                raise RuntimeError(f"{kind} is answered {answer.status_code}: {answer.content!r}")
            if number >= 50:
                taken[kind].append(spent)
    return taken


if __name__ == "__main__":
    main()
