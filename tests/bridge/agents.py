"""Agents as customers run them: a process of its own, with nothing of the service but a credential."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.server import ROOT


@dataclasses.dataclass
class AgentProcess:
    """`python -m bridge`; `start` after `kill` is another run with the same credential."""

    folder: Path
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        bare = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with (self.folder / "agent.log").open("ab") as log:
            command = [sys.executable, "-m", "bridge", *self.arguments]
            self.process = subprocess.Popen(command, cwd=ROOT, env=bare, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Ends the process; what it ended with."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=20)


@contextlib.contextmanager
def running(folder: Path, credential: str, *arguments: str) -> Iterator[AgentProcess]:
    """An agent with this credential."""
    folder.mkdir(exist_ok=True)
    path = folder / "agent.creds"
    path.write_text(credential)
    path.chmod(0o600)
    agent = AgentProcess(folder, ["--creds", str(path), *arguments])
    agent.start()
    try:
        yield agent
    finally:
        if agent.process is not None and agent.process.poll() is None:
            agent.kill()


def eventually(what: Callable[[], object], seconds: float = 20) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
