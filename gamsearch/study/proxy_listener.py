"""Where a gRPC proxy listens and how its callers prove that they may: address, certificate, shared token."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from gamsearch.errors import OptionError

TOKEN = "GAMSEARCH_TOKEN"
"""Environment variable of the shared token."""
CERTIFICATE = "GAMSEARCH_TLS_CERTIFICATE"
"""Environment variable of a file with the certificates to trust, for a server that has made its own."""
SHORTEST_TOKEN = 16
MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey rsa:3072 -nodes -days 365 -keyout key.pem -out cert.pem -subj /CN=HOST "
    "-addext subjectAltName=DNS:HOST"
)


@dataclass(frozen=True)
class Listener:
    """Where a proxy listens, and how its callers prove that they may.

    Attributes:
        host: Name or IP address to listen on.
        port: Port to listen on, 1 to 65535.
        certificate: File with the server's certificate (PEM); empty for plain text.
        key: File with the certificate's private key (PEM).
        insecure: Whether plain text without a token is wanted although other machines can reach `host`.
    """

    host: str = "localhost"
    port: int = 13000
    certificate: str = ""
    key: str = ""
    insecure: bool = False

    @property
    def address(self) -> str:
        """Host and port, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{host}:{self.port}"

    def check(self) -> None:
        """Refuse what cannot be served safely.

        Raises:
            OptionError: The port is none, certificate and key do not come together, the token is missing, or other
                machines could reach the database without one.
        """
        if not 1 <= self.port <= 65535:
            raise OptionError(f"--port must be between 1 and 65535, not {self.port}")
        if bool(self.certificate) != bool(self.key):
            raise OptionError("--tls-certificate and --tls-key belong together: give both, or neither")
        if self.certificate and self.insecure:
            raise OptionError("--insecure contradicts --tls-certificate; leave one of them out")
        if self.certificate:
            token()
        elif not (self.insecure or _loopback(self.host)):
            raise OptionError(
                f"--host {self.host} lets other machines read and change the database; give --tls-certificate and "
                f"--tls-key and set {TOKEN} (a certificate: `{MAKE_CERTIFICATE}`), or --insecure in a network that "
                "you trust"
            )


def token() -> str:
    """Read the shared token.

    Returns:
        The token of the environment variable GAMSEARCH_TOKEN.

    Raises:
        OptionError: It is missing or too short.
    """
    found = os.environ.get(TOKEN, "")
    if len(found) < SHORTEST_TOKEN or not found.isascii() or not found.isprintable() or " " in found:
        raise OptionError(
            f"set {TOKEN} to the token that server and clients share, at least {SHORTEST_TOKEN} letters and digits "
            "(a new one: `openssl rand -hex 24`)"
        )
    return found


def pem(path: str, option: str) -> bytes:
    """Read a certificate or key.

    Args:
        path: The file.
        option: What named it, for the message.

    Returns:
        Its content.

    Raises:
        OptionError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OptionError(f"{option}: {path} cannot be read ({error.strerror})") from error


def _loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
