"""A PostgreSQL server of one's own, for tests and benchmarks."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from made_up import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
"""Empty where PostgreSQL is not installed."""
PASSWORD = "S3cret:w@rd"


class Server:
    """A PostgreSQL server in a folder of its own, at which one must give a password."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder / "data", free_port()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.bin = BINARIES[-1].parent
        if os.geteuid() == 0:  # the server refuses to run as root
            folder.chmod(0o777)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        self._call("initdb", "-D", self.folder, "-U", "me", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://me:{PASSWORD}@localhost:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=localhost -c unix_socket_directories= -c fsync=off"
        self._call("pg_ctl", "-D", self.folder, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """As a power failure would."""
        self._call("pg_ctl", "-D", self.folder, "-m", "immediate", "stop")

    def _call(self, name: str, *arguments: object) -> None:
        named = {"user": self.user} if os.geteuid() == 0 else {}
        command = [str(self.bin / name), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **named)


@contextmanager
def postgres() -> Iterator[Server]:
    """A new server, which is deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gamsearch-postgres-"))
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
