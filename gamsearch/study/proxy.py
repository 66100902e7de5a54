"""Optuna's gRPC proxy: one machine serves a database to others, over TLS and with a shared token where it is reachable.

`grpc://host:port` is plain text for this machine alone. `grpcs://host:port` is encrypted (TLS), and every call carries
the token of the environment variable GAMSEARCH_TOKEN (gRPC's call credentials). Optuna's own proxy knows neither, so
its service and stub are set up here.
"""

import hmac
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
from optuna.storages import BaseStorage, GrpcStorageProxy

from gamsearch.errors import OptionError, RunError, one_line
from gamsearch.signals import stop_request
from gamsearch.study.proxy_listener import CERTIFICATE, TOKEN, Listener, pem, token
from gamsearch.study.urls import masked

CONNECT_S = 20.0
"""Seconds to wait for a proxy when it is first opened."""
THREADS = 10
LOOK_S = 0.2
"""Seconds between two looks at whether a signal asks a server to stop."""
HEADER = "authorization"
UNLIMITED = [("grpc.max_receive_message_length", -1)]


def serve(storage: BaseStorage, name: str, listener: Listener) -> None:
    """Serve a database until interrupted.

    Args:
        storage: The database.
        name: How to name it in messages, without a password.
        listener: Where to listen.

    Raises:
        OptionError: The listener is not safe, or its certificate or key cannot be used.
        RunError: The port is taken, or gRPC is not installed.
    """
    listener.check()
    try:
        server = make_server(storage, listener)
        _know_trials(storage)
        server.start()
    except ImportError as error:
        raise RunError(f"`serve` needs the package {error.name}: pip install 'gamsearch[storage]'") from error
    except (RuntimeError, OverflowError) as error:
        raise RunError(
            f"cannot listen on {listener.address} ({one_line(error)[:200]}); give another --port or --host"
        ) from error
    scheme, whom = (
        ("grpcs", f"whoever has the {TOKEN}") if listener.certificate else ("grpc", "anyone who can reach it")
    )
    print(f"serving {name} at {scheme}://{listener.address} to {whom}; Ctrl-C stops it", flush=True)
    try:
        with stop_request.deferred():  # gRPC may be interrupted while it holds a lock
            while server.wait_for_termination(timeout=LOOK_S):
                stop_request.check()
    finally:
        server.stop(grace=1.0).wait()


def _know_trials(storage: BaseStorage) -> None:
    """Read every trial: Optuna's cache of a database takes parameters only for trials that it has seen.

    A search that goes on after this server was restarted would otherwise end with a `KeyError`.
    """
    for study in storage.get_all_studies():
        storage.get_all_trials(study._study_id, deepcopy=False)


def make_server(storage: BaseStorage, listener: Listener) -> Any:
    """Set up a server, bound but not started.

    Args:
        storage: What it serves.
        listener: Where it listens; a port that another process has is not shared with it.

    Returns:
        The `grpc.Server`.

    Raises:
        OptionError: Certificate or key cannot be read or used.
        RuntimeError: The port is taken.
    """
    import grpc
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.servicer import OptunaStorageProxyService

    guards = (_guard(token()),) if listener.certificate else ()
    alone = [("grpc.so_reuseport", 0), *UNLIMITED]  # by default gRPC shares a port between processes
    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS), interceptors=guards, options=alone)
    api_pb2_grpc.add_StorageServiceServicer_to_server(OptunaStorageProxyService(storage), server)
    if not listener.certificate:
        server.add_insecure_port(listener.address)
        return server
    pair = pem(listener.key, "--tls-key"), pem(listener.certificate, "--tls-certificate")
    if b"PRIVATE KEY" not in pair[0] or b"CERTIFICATE" not in pair[1]:
        raise OptionError("--tls-key must hold a private key and --tls-certificate a certificate, both as PEM")
    server.add_secure_port(listener.address, grpc.ssl_server_credentials([pair]))
    return server


class SecureProxy(GrpcStorageProxy):
    """Optuna's client over TLS, with the shared token in every call."""

    def __init__(self, host: str, port: int):
        """Connect lazily.

        Args:
            host: Name of the server, as its certificate has it.
            port: Its port.
        """
        self._credentials_of = (os.environ.get(CERTIFICATE, ""), token())
        super().__init__(host=host, port=port)

    def _secure_channel(self) -> Any:
        import grpc

        trusted, shared = self._credentials_of
        tls = grpc.ssl_channel_credentials(pem(trusted, CERTIFICATE) if trusted else None)
        credentials = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(shared))
        return grpc.secure_channel(f"{self._host}:{self._port}", credentials, options=UNLIMITED)

    def _setup(self) -> None:
        from optuna.storages._grpc.auto_generated import api_pb2_grpc
        from optuna.storages._grpc.client import GrpcClientCache

        self._channel = self._secure_channel()
        self._stub = api_pb2_grpc.StorageServiceStub(self._channel)
        self._cache = GrpcClientCache(self._stub)

    def wait_server_ready(self, timeout: float | None = None) -> None:
        """Wait until the server answers, then prove the token.

        Args:
            timeout: Longest time in seconds; None waits for ever.

        Raises:
            ConnectionError: The server does not answer in time, or its certificate is not trusted.
            RunError: The token is wrong.
        """
        import grpc

        with self._secure_channel() as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=timeout)
            except grpc.FutureTimeoutError as error:
                what = f"no answer, or a certificate that is not trusted; {CERTIFICATE} names the server's certificate"
                raise ConnectionError(what) from error
        try:
            self.get_all_studies()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            raise RunError(
                f"grpcs://{self._host}:{self._port} refuses the token; set {TOKEN} as on the server"
            ) from None


def connect(url: str) -> GrpcStorageProxy:
    """Open a proxy once it is ready.

    Args:
        url: `grpc://host:port` or `grpcs://host:port`.

    Returns:
        The proxy.

    Raises:
        OptionError: The URL lacks host or port, or the token is missing.
        ConnectionError: The server does not answer.
    """
    scheme, _, rest = url.partition("://")
    host, _, port = rest.strip("/").rpartition(":")
    if not host or not port.isdigit():
        raise OptionError(f"--storage {masked(url)} must name host and port, such as {scheme}://host:13000")
    import google.protobuf  # noqa: F401  (Optuna imports both only when they are used)
    import grpc  # noqa: F401

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = SecureProxy(host, int(port)) if scheme == "grpcs" else GrpcStorageProxy(host=host, port=int(port))
    proxy.wait_server_ready(timeout=CONNECT_S)
    return proxy


def _guard(shared: str) -> Any:
    """An interceptor that refuses calls without the token."""
    import grpc

    expected = f"Bearer {shared}".encode()

    def refuse(request: Any, context: Any) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong or missing token")

    class Guard(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            found = next((value for key, value in details.invocation_metadata if key == HEADER), "")
            if hmac.compare_digest(str(found).encode(), expected):
                return continuation(details)
            return grpc.unary_unary_rpc_method_handler(refuse)

    return Guard()
