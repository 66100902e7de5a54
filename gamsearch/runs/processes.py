"""The other worker processes of a run on this machine: started, restarted when they die, stopped. No torch."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gamsearch.errors import OptionError, one_line
from gamsearch.study.worker_entries import FOLDER

PARENT = "GAMSEARCH_PARENT"
VISIBLE, THREADS = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"
SUPERVISE_S = 0.5
SHORT_S, MOST_SHORT, MOST_KILLED = 60.0, 3, 30
"""A worker that ends within `SHORT_S` seconds this often in a row, by an error or a signal, is not restarted."""
STOP_S = 20.0
WAIT_MINUTES = 10
"""Minutes for which a worker waits for a storage that is unreachable as it starts."""


@dataclass(frozen=True)
class Slot:
    """Where a worker runs.

    Attributes:
        device: Its `--device`; empty for the default.
        environment: Variables that its environment adds.
    """

    device: str
    environment: Mapping[str, str] = field(default_factory=dict)


def slots(device: str, workers: int, environment: Mapping[str, str], cores: int) -> list[Slot]:
    """Assign each worker of a run its device: `--device 0,1` gives each its own, `--workers 2` share one.

    A worker sees only its own CUDA device, which must be set before PyTorch is loaded. All workers of a machine use the
    same number of threads, which decides the last bits of a training.

    Args:
        device: The value of `--device`; empty for the default.
        workers: The number of workers, at least 1.
        environment: The variables of this process.
        cores: The number of processor cores to share.

    Returns:
        One slot per worker, this process first.

    Raises:
        OptionError: The devices are not distinct, not visible, or given together with `--workers`.
    """
    names = [name.strip() for name in device.split(",")] if device else [""]
    if len(names) > 1 and workers > 1:
        raise OptionError("--device 0,1 starts one worker per device, so it excludes --workers; give one of them")
    if len(names) == 1:
        each = str(max(1, cores // workers))
        threads = {} if workers == 1 or THREADS in environment else {THREADS: each}
        return [Slot(names[0], threads)] * workers
    if not all(name.isdigit() for name in names) or len(set(names)) < len(names):
        raise OptionError(f"--device {device[:80]} must be distinct indices such as 0,1,2, or one device")
    visible = environment.get(VISIBLE, "").split(",") if environment.get(VISIBLE) else None
    if visible is not None and max(map(int, names)) >= len(visible):
        raise OptionError(f"--device {device[:80]}: {VISIBLE} makes only {len(visible)} device(s) visible")
    return [Slot("0", {VISIBLE: visible[int(name)] if visible else name}) for name in names]


@dataclass
class _WorkerProcess:
    """One worker process, its log, and its failures in a row."""

    slot: Slot
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    begun: float = 0.0
    failures: int = 0
    given_up: bool = False


class WorkerPool:
    """The workers at `slots` that join the run in `folder`; `say` reports what happens to them."""

    def __init__(self, folder: Path, slots: list[Slot], say: Callable[[str], None], storage: str = ""):
        self.folder, self.say, self.storage = folder, say, storage
        self.workers = [_WorkerProcess(slot, folder / FOLDER / f"{n}.log") for n, slot in enumerate(slots, 1)]
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        """Start and supervise all workers until `finish` or `stop`."""
        if self.workers:
            self.say(f"starting {len(self.workers)} more worker(s); their logs are in {self.folder / FOLDER}")
            (self.folder / FOLDER).mkdir(exist_ok=True)
            for worker in self.workers:
                self._launch(worker)
            self._supervisor.start()

    def finish(self) -> None:
        """Wait for all workers, which end when the search does."""
        self._stop_supervising()
        for worker in self.workers:
            if worker.process is not None:
                worker.process.wait()

    def stop(self) -> None:
        """Interrupt the workers that still run, as Ctrl-C would, and kill those that do not end."""
        self._stop_supervising()
        remaining = [
            worker.process for worker in self.workers if worker.process is not None and worker.process.poll() is None
        ]
        for process in remaining:
            process.send_signal(signal.SIGINT)
        until = time.monotonic() + STOP_S
        for process in remaining:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _stop_supervising(self) -> None:
        self._over.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def _launch(self, worker: _WorkerProcess) -> None:
        command = [sys.executable, "-m", "gamsearch", "worker", str(self.folder), "--wait", str(WAIT_MINUTES)]
        command += ["--device", worker.slot.device] if worker.slot.device else []
        environment = {**os.environ, **worker.slot.environment, PARENT: str(os.getpid())}
        if self.storage:  # not on the command line, which every user of the machine can read
            environment["GAMSEARCH_STORAGE"] = self.storage
        worker.begun = time.monotonic()
        log: IO[bytes]
        with worker.log.open("ab") as log:
            worker.process = subprocess.Popen(  # in its own session: Ctrl-C reaches it only through `stop`
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _supervise(self) -> None:
        while not self._over.wait(SUPERVISE_S):
            for worker in self.workers:
                if worker.process is not None and not worker.given_up and worker.process.poll() not in (None, 0):
                    self._replace(worker, worker.process.returncode)

    def _replace(self, worker: _WorkerProcess, code: int) -> None:
        """Restart a worker that was killed or crashed, but not one that ended because its user must fix something."""
        short = time.monotonic() - worker.begun < SHORT_S
        worker.failures = worker.failures + 1 if short else 0
        if code == 2 or worker.failures >= (MOST_SHORT if code > 0 else MOST_KILLED):
            worker.given_up = True
            self.say(f"a worker failed and is not restarted: {_last_line(worker.log)}")
            return
        how = f"was killed by signal {-code}" if code < 0 else f"crashed with exit code {code}"
        self.say(f"a worker {how}; restarting it")
        self._launch(worker)


def _last_line(path: Path) -> str:
    """Return the last line of a worker's log."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "its log is not readable"
    return one_line(lines[-1])[:300] if lines else "its log is empty"
