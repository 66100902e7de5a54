"""Latency by a command: what it may be, what it says, how it fails, and how it is used. Real programs are run."""

import getpass
import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gamsearch.errors import CandidateFailed, OptionError, RunError
from gamsearch.models.latency import command as commands
from gamsearch.models.latency.command import Command
from gamsearch.models.latency.command_output import Timed, understood
from gamsearch.models.latency.exporting import onnx_of
from gamsearch.models.latency.measure import measure
from gamsearch.models.latency.measure_table import measure_table
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")
TIMER = """
import json, sys, time
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = numpy.zeros((1, 3, int(sys.argv[2]), int(sys.argv[2])), dtype="float32")
times = []
for _ in range(20):
    start = time.process_time()
    session.run(None, {"images": image})
    times.append(1000 * (time.process_time() - start))
print("some log line")
print(json.dumps({"latency_ms": times[2:], "device": "this one", "precision": "fp32"}))
"""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(commands, "PAUSE_S", 0.0)


def model_of(name: str):
    return start_model(Detector.load(name), None, {0: "object"}, seed=0)


def script(folder: Path, text: str) -> str:
    """A command that runs a Python script on the file."""
    (folder / "timer.py").write_text(text)
    return f"'{sys.executable}' '{folder / 'timer.py'}' {{onnx}} {{imgsz}}"


# what it may be ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("no-such-program {onnx}", "install it"),
        (f"{sys.executable} bench.py {{imgsz}}", "as {onnx} or {remote}"),
        (f"{sys.executable} bench.py {{onnx}} {{precision}}", "no field {precision}"),
        (f"{sys.executable} 'bench.py {{onnx}}", "close the quotation"),
        (f"{sys.executable} bench.py {{remote}}", "begins with ssh and a host"),
        (f"{sys.executable} -m json.tool", "as {onnx} or {remote}"),
    ],
)
def test_a_command_that_cannot_work_is_refused_in_one_sentence(text, fix):
    with pytest.raises(OptionError) as error:
        Command.parse(text)
    assert fix in str(error.value) and "\n" not in str(error.value)


def test_a_file_is_uploaded_to_the_host_of_ssh_with_the_options_that_scp_knows():
    text = "ssh -p 2222 -i key -q -oStrictHostKeyChecking=no -t me@jetson bench.sh {remote}"
    words = Command(text, tuple(shlex.split(text))).upload_words("/tmp/a.onnx", "a.onnx")
    assert shlex.join(words) == "scp -q -P 2222 -i key -o StrictHostKeyChecking=no /tmp/a.onnx me@jetson:a.onnx"


# what it says --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.25\n", Timed((5.25,))),
        ('noise\n{"latency_ms": 5}\n\n', Timed((5.0,))),
        ('{"latency_ms": [5.1, 5.2], "device": "Orin", "precision": "int8"}', Timed((5.1, 5.2), "Orin", "int8")),
        # the form of trtexec 10, as its documentation shows it
        (
            "[I] Latency: min = 1.2 ms, max = 2.0 ms, mean = 1.4 ms, median = 1.39 ms\n"
            "[I] GPU Compute Time: min = 1.04 ms, max = 1.6 ms, mean = 1.08 ms, median = 1.07 ms\n"
            "&&&& PASSED TensorRT.trtexec\n",
            Timed((1.07,)),
        ),
        # of benchmark_app 2026.4, which changes the unit below a millisecond
        ("[ INFO ]    Median:        1.31 ms\n[ INFO ]    Average:       1.35 ms\n", Timed((1.31,))),
        ("[ INFO ]    Median:        985.12 us\n[ INFO ] Throughput: 1015.05 FPS\n", Timed((0.98512,))),
    ],
)
def test_the_last_line_or_the_summary_of_a_known_tool_is_understood(text, expected):
    assert understood(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "done", '{"latency_ms": "fast"}', '{"fps": 30}', "-3", "nan", "[]", "true", '{"latency_ms": [1, null]}'],
)
def test_anything_else_is_a_failure_that_shows_the_last_line(text):
    with pytest.raises(CandidateFailed, match="latency: the command of --latency must print JSON") as error:
        understood(text)
    assert error.value.reason == "latency" and f"'{text}'" in error.value.detail


# how it fails --------------------------------------------------------------------------------------------------------
def test_a_failing_program_is_recorded_with_its_exit_code_and_last_line(tmp_path):
    command = Command.parse(script(tmp_path, "import sys; print('x', file=sys.stderr); sys.exit('no such layer')"))
    with pytest.raises(CandidateFailed, match="ended with exit code 1: no such layer"):
        command.time(b"", 64)


def test_a_program_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "LONGEST_S", 0.5)
    start = time.monotonic()
    with pytest.raises(CandidateFailed, match="took longer than"):
        Command.parse(script(tmp_path, "import time; time.sleep(60)")).time(b"", 64)
    assert time.monotonic() - start < 20


def test_a_placement_that_the_target_cannot_hold_is_named_before_anything_is_trained(tmp_path):
    space = SearchSpace.load("planted")
    text = "import os, sys; n = os.path.getsize(sys.argv[1]); sys.exit('unsupported') if n > LIMIT else print(n)"
    stock = start_model(space.detector, None, {0: "object"}, seed=0)
    limit = len(onnx_of(stock, 64)) + 1000
    with pytest.raises(RunError, match="the latency of GAM@2 r4 cannot be measured .*unsupported"):
        measure_table(space, stock, 64, CPU, 1.0, backend=script(tmp_path, text.replace("LIMIT", str(limit))))


# how it is used ------------------------------------------------------------------------------------------------------
def test_networks_are_timed_in_turns_and_what_the_command_says_is_recorded(tmp_path):
    found = measure(model_of("yolov8s"), model_of("yolov8n"), 64, CPU, backend=script(tmp_path, TIMER))
    assert found.ratio > 1.3 and 3 <= found.rounds <= 6
    assert (found.device, found.precision, found.clock) == ("this one", "fp32", "command")
    assert found.latency_ms == pytest.approx(found.ratio * found.baseline_ms)


def test_calls_alternate_in_order_and_end_once_the_ratio_repeats(tmp_path):
    log = tmp_path / "log"
    text = f"import os, sys; n = os.path.getsize(sys.argv[1]); print(n, file=open({str(log)!r}, 'a')); print(n / 1e6)"
    found = measure(model_of("yolov8s"), model_of("yolov8n"), 64, CPU, backend=script(tmp_path, text))
    sizes = [int(line) for line in log.read_text().split()]
    large, small = max(sizes), min(sizes)
    assert sizes == [large, small, small, large, large, small]
    assert found.ratio == pytest.approx(large / small) and found.rounds == 3


@pytest.mark.skipif(not shutil.which("benchmark_app"), reason="benchmark_app is not installed: pip install openvino")
def test_benchmark_app_is_a_preset(monkeypatch):
    found = measure(model_of("yolov8s"), model_of("yolov8n"), 64, CPU, backend="benchmark_app")
    assert found.ratio > 1.2


# over ssh ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def sshd(tmp_path):
    """A server on the loopback interface; the options with which `ssh` connects to it."""
    server = shutil.which("sshd") or "/usr/sbin/sshd"
    if not (Path(server).exists() and shutil.which("ssh-keygen") and shutil.which("scp")):
        pytest.skip("no ssh server is installed")
    for name in ("host", "own"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    shutil.copy(tmp_path / "own.pub", tmp_path / "authorized")
    Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "authorized",
        "PidFile": tmp_path / "pid",
        "UsePAM": "no",
        "StrictModes": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (tmp_path / "config").write_text("".join(f"{key} {value}\n" for key, value in config.items()))
    process = subprocess.Popen([server, "-D", "-f", str(tmp_path / "config")])
    known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    for _ in range(50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"-p {port} -i {tmp_path / 'own'} {known} {getpass.getuser()}@127.0.0.1"
    process.terminate()
    process.wait()


def test_a_network_is_uploaded_and_timed_over_ssh(sshd, tmp_path):
    (tmp_path / "timer.py").write_text("import os, sys; print(os.path.getsize(sys.argv[1]))")
    command = Command.parse(f"ssh {sshd} {sys.executable} {tmp_path / 'timer.py'} {{remote}}")
    assert command.time(b"x" * 1234, 64) == Timed((1234.0,))
    assert not list(Path.home().glob("gamsearch*.onnx"))


def test_what_a_command_prints_need_not_be_ascii():
    assert understood(json.dumps({"latency_ms": 1.5, "device": "Jetson\nOrin"})).device == "Jetson Orin"
