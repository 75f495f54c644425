"""A worker that is told to stop in the middle of a run that does not end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.server import ROOT, serving

PATIENCE = 1.0  # seconds
SECONDS = 10.0  # for a busy machine


def test_worker__told_to_stop_while_a_run_does_not_end__is_gone_after_its_patience(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        command = [sys.executable, "-m", "tests.faults.endless", server.organization_id, str(PATIENCE)]
        with subprocess.Popen(command, cwd=ROOT, env=server.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "begun\n" in process.stdout
                process.terminate()
                told = time.monotonic()
                assert process.wait(PATIENCE + SECONDS) == 1
                assert time.monotonic() - told > PATIENCE
            finally:
                process.kill()
