"""Latency by a command, which times an exported network anywhere: `--latency "ssh jetson bench.sh {remote}"`.

The command is a template of one program with its arguments. No shell reads it on this machine, and nothing but the
paths of files that this module makes is filled in, so no name of a model or a folder is ever read as code.

    {onnx}     path of the ONNX file on this machine
    {remote}   path of the file on the machine that the command's `ssh` connects to; it is uploaded with `scp` first
    {imgsz}    image size, px
    {name}     name of the network, letters and digits only

See `command_output` for what it prints.
"""

import hashlib
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gamsearch.errors import CandidateFailed, OptionError, one_line
from gamsearch.models.latency.command_output import Timed, understood
from gamsearch.signals import stop_request

FIELDS = ("onnx", "remote", "imgsz", "name")
LONGEST_S, PAUSE_S = 600.0, 0.2
"""Time limit of one call, and the pause before each, in which a device that throttles cools down."""
CALLS, AGREE = (3, 6), 0.02
"""Fewest and most calls of each network, which end once their ratios lie within this share of each other."""
PRESETS = {
    "trtexec": "trtexec --onnx={onnx} --fp16 --noDataTransfers --useCudaGraph",
    "benchmark_app": "benchmark_app -m {onnx} -d CPU -hint none -nstreams 1 -nthreads 1 -api sync -t 2",
}
"""Commands by the name that `--latency` gives them."""
SSH_VALUES, SCP_TOO = "BbcDEeFIiJLlmOoPpQRSWw", "FiJo"
"""Letters of ssh's options that take a value, and of those that mean the same to scp."""


def is_command(backend: str) -> bool:
    """Whether `--latency` gives a command and not the name of a backend.

    Args:
        backend: What it gives.

    Returns:
        Whether it names a preset or holds a field such as `{onnx}`.
    """
    return backend in PRESETS or "{" in backend


@dataclass(frozen=True)
class Command:
    """A command that times an ONNX file.

    Attributes:
        text: What `--latency` gives.
        words: Program and arguments with their fields.
    """

    text: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Command":
        """Read a template.

        Args:
            text: The name of a preset, or a program and its arguments as in a shell, with fields in braces.

        Returns:
            The command.

        Raises:
            OptionError: It has an unknown field, none for the file, or its program is not installed.
        """
        template = PRESETS.get(text, text)
        try:
            words = tuple(shlex.split(template))
        except ValueError as error:
            raise OptionError(f"--latency '{one_line(text)}' cannot be read ({error}): close the quotation") from error
        fields = set(re.findall(r"\{(\w*)\}", template))
        if unknown := sorted(fields - set(FIELDS)):
            offered = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise OptionError(f"--latency has no field {{{unknown[0]}}}; a command may use {offered}")
        if not fields & {"onnx", "remote"}:
            raise OptionError("the command of --latency must name the network that it times, as {onnx} or {remote}")
        if not shutil.which(words[0]):
            raise OptionError(f"--latency runs '{words[0]}', which is not installed or not on PATH: install it")
        command = cls(text, words)
        if "remote" in fields:
            command.upload_words("", "")
        return command

    def upload_words(self, file: str, target: str) -> list[str]:
        """The `scp` that uploads a file to where the command's own `ssh` runs.

        Args:
            file: The file.
            target: Its path there.

        Returns:
            Program and arguments.

        Raises:
            OptionError: The command does not begin with `ssh` and a host, or `scp` is not installed.
        """
        if Path(self.words[0]).name != "ssh" or not shutil.which("scp"):
            raise OptionError("{remote} needs a command that begins with ssh and a host, and scp to upload the file")
        options: list[str] = []
        rest = iter(self.words[1:])
        for word in rest:
            if not word.startswith("-"):
                return ["scp", "-q", *options, file, f"{word}:{target}"]
            letter, value = word[1:2], word[2:]
            if letter in SSH_VALUES:
                value = value or next(rest, "")
                options += [f"-{letter}", value] if letter in SCP_TOO else ["-P", value] if letter == "p" else []
        raise OptionError("{remote} needs a host after ssh, e.g. --latency 'ssh jetson bench.sh {remote}'")

    def time(self, content: bytes, imgsz: int) -> Timed:
        """Time a network once.

        Args:
            content: The ONNX file.
            imgsz: Image size, px.

        Returns:
            What the command said.

        Raises:
            CandidateFailed: It failed, took too long, or said something else; the detail has its last line.
        """
        name = f"gamsearch{hashlib.sha256(content).hexdigest()[:12]}"
        with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder:
            file = Path(folder) / f"{name}.onnx"
            file.write_bytes(content)
            fields = {"onnx": str(file), "remote": file.name, "imgsz": str(imgsz), "name": name}
            words = [_filled(word, fields) for word in self.words]
            if not any("{remote}" in word for word in self.words):
                return understood(_run(words))
            _run(upload := self.upload_words(str(file), file.name))
            try:
                return understood(_run(words))
            finally:
                host = upload[-1].removesuffix(f":{file.name}")
                subprocess.run([*words[: words.index(host) + 1], "rm", "-f", file.name], capture_output=True)


def rounds(command: Command, networks: Sequence[bytes], imgsz: int) -> Iterator[tuple[Timed, Timed]]:
    """Time two networks in turns, the order reversed each time, until their ratio repeats.

    Args:
        command: The command.
        networks: Their ONNX files.
        imgsz: Image size, px.

    Yields:
        What each said, in the order of `networks`.
    """
    ratios: list[float] = []
    for number in range(CALLS[1]):
        found: dict[int, Timed] = {}
        for index in (1, 0) if number % 2 else (0, 1):
            stop_request.check()
            time.sleep(PAUSE_S)
            found[index] = command.time(networks[index], imgsz)
        yield found[0], found[1]
        ratios.append(float(np.median(found[0].times) / np.median(found[1].times)))
        middle = sorted(ratios)[1:-1] if len(ratios) > CALLS[0] else ratios  # without the extremes
        if len(ratios) >= CALLS[0] and max(middle) - min(middle) <= AGREE * min(middle):
            return


def paired_times(found: Sequence[tuple[Timed, Timed]]) -> tuple[np.ndarray, np.ndarray]:
    """The median of each call.

    Args:
        found: What `rounds` yields.

    Returns:
        Milliseconds of each network, call by call.
    """
    medians = [(np.median(first.times), np.median(second.times)) for first, second in found]
    first, second = np.array(medians).T
    return first, second


def _filled(word: str, fields: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: fields[found[1]], word)


def _run(words: list[str]) -> str:
    """Run a program and return its standard output."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=LONGEST_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise CandidateFailed("latency", f"{words[0]} of --latency took longer than {LONGEST_S:.0f} s") from error
    except OSError as error:
        raise CandidateFailed("latency", f"{words[0]} of --latency cannot be run ({error})") from error
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = f": {one_line(lines[-1])[:200]}" if lines else ""
        raise CandidateFailed("latency", f"{words[0]} of --latency ended with exit code {done.returncode}{why}")
    return done.stdout
