"""The gRPC proxy: who may connect, over what, and on which ports."""

import shutil
import subprocess

import optuna
import pytest
from made_up import checked, eventually, free_port, said, search_of, start, timed_table

from gamsearch.errors import OptionError, RunError
from gamsearch.study import proxy, storages, store
from gamsearch.study.proxy_listener import MAKE_CERTIFICATE, Listener

grpc = pytest.importorskip("grpc", reason="the gRPC proxy needs grpcio: pip install 'gamsearch[storage]'")
TOKEN = "0123456789abcdef0123"
OPENSSL = shutil.which("openssl")


@pytest.fixture
def certificate(tmp_path):
    if OPENSSL is None:
        pytest.skip("needs openssl")
    command = MAKE_CERTIFICATE.replace("HOST", "localhost").replace("rsa:3072", "rsa:2048").split()
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    return {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}


@pytest.fixture
def served(tmp_path, certificate, monkeypatch):
    """The URL of a proxy over TLS that serves an empty database."""
    monkeypatch.setenv(proxy.TOKEN, TOKEN)
    port = free_port()
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/served.db")
    server = proxy.make_server(storage, Listener("localhost", port, **certificate))
    server.start()
    yield f"grpcs://localhost:{port}"
    server.stop(None)


def test_a_client_with_token_and_certificate_is_served(served, certificate, monkeypatch):
    monkeypatch.setenv(proxy.CERTIFICATE, certificate["certificate"])
    client = proxy.connect(served)
    optuna.create_study(study_name="a", storage=client)
    assert [study.study_name for study in client.get_all_studies()] == ["a"]


def test_a_wrong_token_is_refused_in_one_sentence(served, certificate, monkeypatch):
    monkeypatch.setenv(proxy.CERTIFICATE, certificate["certificate"])
    monkeypatch.setenv(proxy.TOKEN, TOKEN[::-1])
    with pytest.raises(RunError, match="refuses the token; set GAMSEARCH_TOKEN"):
        proxy.connect(served)


def test_a_call_without_any_token_is_refused(served, certificate):
    with open(certificate["certificate"], "rb") as trusted:
        tls = grpc.ssl_channel_credentials(trusted.read())
    from optuna.storages._grpc.auto_generated import api_pb2, api_pb2_grpc

    with grpc.secure_channel(served.removeprefix("grpcs://"), tls) as channel:
        stub = api_pb2_grpc.StorageServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetAllStudies(api_pb2.GetAllStudiesRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("scheme", ["grpc", "grpcs"])
def test_plain_text_and_unknown_certificates_do_not_connect(served, monkeypatch, scheme):
    monkeypatch.setattr(proxy, "CONNECT_S", 0.5)
    monkeypatch.delenv(proxy.CERTIFICATE, raising=False)
    with pytest.raises(ConnectionError):
        proxy.connect(served.replace("grpcs", scheme))


@pytest.mark.parametrize(
    ("listener", "sentence"),
    [
        (Listener(port=0), "--port must be between 1 and 65535, not 0"),
        (Listener(port=-1), "not -1"),
        (Listener(port=99999), "not 99999"),
        (Listener("0.0.0.0"), "--insecure in a network that you trust"),
        (Listener("192.168.0.7"), "GAMSEARCH_TOKEN"),
        (Listener("some.host"), "lets other machines"),
        (Listener(certificate="cert.pem"), "belong together"),
        (Listener(certificate="c", key="k", insecure=True), "contradicts"),
        (Listener(certificate="c", key="k"), "set GAMSEARCH_TOKEN to the token"),
    ],
)
def test_an_unsafe_listener_is_refused(listener, sentence, monkeypatch):
    monkeypatch.delenv(proxy.TOKEN, raising=False)
    with pytest.raises(OptionError, match=sentence):
        listener.check()


@pytest.mark.parametrize(
    "listener", [Listener(), Listener("127.0.0.1"), Listener("::1"), Listener("0.0.0.0", insecure=True)]
)
def test_a_safe_listener_is_accepted(listener):
    listener.check()


def test_files_that_are_no_certificate_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(proxy.TOKEN, TOKEN)
    (tmp_path / "x").write_text("x")
    for certificate, sentence in ((tmp_path / "x", "as PEM"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(OptionError, match=sentence):
            proxy.make_server(object(), Listener(certificate=str(certificate), key=str(tmp_path / "x")))


def test_a_second_server_on_a_port_is_refused(tmp_path):
    port = free_port()
    serve = ("serve", "--storage", f"sqlite:///{tmp_path}/a.db", "--port", port)
    first = start(tmp_path, *serve)
    try:
        eventually(lambda: "serving" in said(tmp_path))
        second = start(tmp_path, *serve)
        assert second.wait(60) == 2
        assert f"cannot listen on localhost:{port}" in said(tmp_path)
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()


def test_a_trial_goes_on_after_the_server_was_restarted(tmp_path):
    port = free_port()
    serve = ("serve", "--storage", f"sqlite:///{tmp_path}/a.db", "--port", port)
    server = start(tmp_path, *serve)
    try:
        client = proxy.connect(f"grpc://localhost:{port}")
        trial = client.create_new_trial(optuna.create_study(storage=client)._study_id)
        server.kill()
        server.wait()
        server = start(tmp_path, *serve)
        eventually(lambda: said(tmp_path).count("serving") == 2)
        client.wait_server_ready(20)
        client.set_trial_param(trial, "site", 1, optuna.distributions.IntDistribution(0, 3))
        assert client.get_trial(trial).params == {"site": 1}
    finally:
        server.kill()
        server.wait()


def test_a_search_runs_through_tls(tmp_path, certificate, monkeypatch):
    table, space = timed_table(tmp_path, "[4]", 0.1)
    port = free_port()
    monkeypatch.setenv(proxy.TOKEN, TOKEN)
    monkeypatch.setenv(proxy.CERTIFICATE, certificate["certificate"])
    pair = ("--tls-certificate", certificate["certificate"], "--tls-key", certificate["key"])
    server = start(tmp_path, "serve", "--storage", f"sqlite:///{tmp_path}/a.db", "--port", port, *pair)
    try:
        eventually(lambda: "serving" in said(tmp_path))
        url = f"grpcs://localhost:{port}"
        run = start(tmp_path, *search_of(tmp_path, table, space, "--storage", url))
        assert run.wait(120) == 0, said(tmp_path)
        monkeypatch.setenv(storages.VARIABLE, url)
        checked(store.load(tmp_path / "results" / "a"), 3)
    finally:
        server.kill()
        server.wait()
