"""Several processes on one device: trainings share it, a latency measurement holds it alone."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock, Timeout
from support.paths import ROOT

from gamsearch.errors import RunError
from gamsearch.evaluation import TrialBudget
from gamsearch.models import device_lock
from gamsearch.models.device_lock import lock_of, path_of
from gamsearch.models.latency.measure import measure
from gamsearch.models.latency.measure_table import measure_table
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model
from gamsearch.training.dataset import DataSet
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.trainer import LeanTrainer

CPU = torch.device("cpu")

HOLD = """
import os, sys, time, torch
from gamsearch.models.device_lock import lock_of
lock = lock_of(torch.device("cpu"))
alone = lock.exclusively()
if sys.argv[1] == "alone":
    alone.__enter__()
else:
    lock.enter()
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True)
sys.stdin.readline()
"""

TRAIN = """
import sys, time, torch
from pathlib import Path
from gamsearch.training.baseline import start_model
from gamsearch.training.dataset import DataSet
from gamsearch.space.detector import Detector
from gamsearch.evaluation import TrialBudget
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.trainer import LeanTrainer

data, folder = map(Path, sys.argv[1:])
passes = open(folder / "passes.txt", "a", buffering=1)

def note(what):
    def write(*_):
        passes.write(f"{what} {time.monotonic()}\\n")

    return write

model = start_model(Detector.load("yolov8n"), None, DataSet.read(data).names, seed=0)
device = torch.device("cpu")
budget = TrialBudget(epochs=500, imgsz=64, batch=2)
given = arguments(SHORT_TRAINING, budget, data, device, folder / "scratch", {"workers": 0})
trainer = LeanTrainer(model, given, lambda *_: None)
model.register_forward_pre_hook(note("begin"))
model.register_forward_hook(note("end"))
trainer.train()
"""


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Separate locks for each test and the processes that it starts; a test that waits forever fails."""

    def give_up(*_):
        raise TimeoutError("this test waited for a lock that it cannot get")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def process(code: str, *arguments: object):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextmanager
def holding(how: str):
    """A process that holds the device, with a forked child; both are killed afterwards."""
    with process(HOLD, how) as holder:
        child = int(holder.stdout.readline())
        try:
            yield holder
        finally:
            os.kill(child, signal.SIGKILL)


def free(exclusive: bool) -> bool:
    """Whether the device can be locked at this moment."""
    lock = lock_of(CPU)
    bytes_wanted = (device_lock.TURNSTILE, device_lock.ROOM)
    got = [lock._lock(byte, exclusive, wait=False) for byte in bytes_wanted]
    for byte in bytes_wanted:
        lock._unlock(byte)
    return all(got)


def test_trainings_share_the_device_and_a_measurement_holds_it_alone():
    assert free(exclusive=True)
    with holding("shared"):
        assert free(exclusive=False) and not free(exclusive=True)
    with holding("alone"):
        assert not free(exclusive=False)


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_a_killed_process_releases_the_device_even_if_its_child_survives(how):
    with holding(how) as holder:
        assert not free(exclusive=True)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert free(exclusive=True)


def intervals(folder: Path) -> list[tuple[float, float]]:
    """Start and end times of all forward passes so far: of training, validation and re-estimation."""
    path = folder / "passes.txt"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    begun = [float(when) for what, when in lines if what == "begin"]
    ended = [float(when) for what, when in lines if what == "end"]
    return list(zip(begun, ended, strict=False))


def wait_until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def test_a_measurement_runs_between_the_batches_of_two_trainings_which_then_continue(tiny_data, tmp_path):
    """`tmp_path/0` and `/1` each have a running training; both run concurrently except while the device is locked."""
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
    taken, waited = [], []
    with process(TRAIN, tiny_data, folders[0]), process(TRAIN, tiny_data, folders[1]):
        wait_until(lambda: all(len(intervals(folder)) > 10 for folder in folders))
        for _ in range(8):
            asked = time.monotonic()
            with lock_of(CPU).exclusively():
                begun = time.monotonic()
                time.sleep(0.3)
                taken.append((begun, time.monotonic()))
            waited.append(begun - asked)
            time.sleep(0.17)
        done = [len(intervals(folder)) for folder in folders]
        wait_until(lambda: all(len(intervals(folder)) > n + 10 for folder, n in zip(folders, done, strict=True)))
    assert max(waited) < 1.0
    first, second = map(intervals, folders)
    for begun, ended in first + second:
        assert not any(begun < until and ended > since for since, until in taken)
    assert any(begun < until and ended > since for begun, ended in first for since, until in second)


def test_checking_for_a_measurement_costs_a_batch_almost_nothing():
    lock = lock_of(CPU)
    lock.enter()
    before = time.perf_counter()
    for _ in range(1000):
        lock.yield_to_measurement()
    assert (time.perf_counter() - before) / 1000 < 1e-4  # seconds
    lock.leave()


def test_a_process_that_would_wait_for_itself_fails_instead():
    lock = lock_of(CPU)
    lock.enter()
    with pytest.raises(AssertionError, match="a training must not measure"), lock.exclusively():
        pass
    lock.leave()
    with lock.exclusively(), pytest.raises(AssertionError, match="must not start another"), lock.exclusively():
        pass
    with lock.exclusively(), pytest.raises(AssertionError, match="must not train"):
        lock.enter()
    assert free(exclusive=True)


def test_an_error_in_a_measurement_releases_the_device():
    with pytest.raises(KeyboardInterrupt), lock_of(CPU).exclusively():
        raise KeyboardInterrupt
    with holding("shared"):  # another process can lock it
        pass
    lock_of(CPU).enter()
    lock_of(CPU).leave()


@pytest.fixture
def model(tiny_data):
    return start_model(Detector.load("yolov8n"), None, DataSet.read(tiny_data).names, seed=0)


def test_latency_and_its_table_are_measured_while_holding_the_device_alone(model):
    """Either fails while a training of this process shares the device."""
    lock_of(CPU).enter()
    with pytest.raises(AssertionError, match="a training must not measure"):
        measure(model, model, 64, CPU, seconds=0.1)
    with pytest.raises(AssertionError, match="a training must not measure"):
        measure_table(SearchSpace.load("gam"), model, 64, CPU, 1.0, seconds=0.1)
    lock_of(CPU).leave()


def trainer(model, data, folder, on_epoch=lambda epoch, results: None):
    given = arguments(SHORT_TRAINING, TrialBudget(2, 64, 4), data, CPU, folder / "scratch", {})
    return LeanTrainer(model, given, on_epoch)


def test_a_training_shares_the_device_during_epochs_but_not_while_it_reports(model, tiny_data, tmp_path):
    shared, reported = [], []
    training = trainer(model, tiny_data, tmp_path, lambda *_: reported.append(lock_of(CPU).shared))
    model.register_forward_hook(lambda *_: shared.append(lock_of(CPU).shared))
    training.add_callback("on_train_start", lambda _: shared.clear())  # the set-up does not share the device
    training.train()
    assert len(shared) > 5 and all(shared) and reported == [False, False] and free(exclusive=True)


def test_a_training_that_is_interrupted_in_a_batch_releases_the_device(model, tiny_data, tmp_path):
    def interrupt(training):
        assert lock_of(CPU).shared
        raise KeyboardInterrupt

    training = trainer(model, tiny_data, tmp_path)
    training.add_callback("on_train_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.train()
    assert not lock_of(CPU).shared and free(exclusive=True)


def test_a_training_checks_for_a_measurement_before_every_pass(model, tiny_data, tmp_path, monkeypatch):
    """Passes of training, validation and re-estimation of statistics."""
    seen = []
    training = trainer(model, tiny_data, tmp_path)
    monkeypatch.setattr(training.lock, "yield_to_measurement", lambda: seen.append("look"))
    model.register_forward_hook(lambda *_: seen.append("pass"))
    training.add_callback("on_train_start", lambda _: seen.clear())
    training.train()
    assert seen == ["look", "pass"] * (len(seen) // 2) and len(seen) > 10


def test_the_lock_is_a_regular_file_that_only_the_user_can_open(tmp_path):
    path = lock_of(CPU).path
    assert path.parent == tmp_path and str(os.getuid()) in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_size == 0


@pytest.mark.parametrize("placed", ["link", "folder", "pipe"])
def test_anything_but_a_regular_file_in_its_place_is_rejected(tmp_path, placed):
    path = path_of(CPU)
    if placed == "link":
        path.symlink_to(tmp_path / "target")
    elif placed == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(RunError, match="cannot be used"):
        lock_of(CPU)
    assert not (tmp_path / "target").exists()


def test_locks_of_cuda_devices_are_named_by_uuid_and_not_by_index(monkeypatch):
    identities = {0: "GPU-b", 1: "GPU-a"}
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=identities[device.index])
    )
    first, second = (path_of(torch.device("cuda", i)) for i in range(2))
    identities[0] = "GPU-a"  # as with CUDA_VISIBLE_DEVICES=1
    assert first != second == path_of(torch.device("cuda", 0)) != path_of(CPU)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())
    assert path_of(torch.device("cuda", 0)) != path_of(torch.device("cuda", 1))


def test_without_record_locks_measurements_exclude_only_one_another(monkeypatch):
    monkeypatch.setattr(device_lock, "fcntl", None)
    lock = lock_of(CPU)
    lock.enter()
    lock.yield_to_measurement()
    lock.leave()
    with lock.exclusively(), pytest.raises(Timeout):
        FileLock(lock.path).acquire(timeout=0)
    FileLock(lock.path).acquire(timeout=0).lock.release()
