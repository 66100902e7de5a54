"""Studies outside the run's folder: their recorded address, hidden passwords, and whole searches through them."""

import time

import pytest
from made_up import checked, eventually, free_port, said, search_of, shares, start, timed_table

from gamsearch.errors import OptionError, RunError
from gamsearch.study import proxy, storages, store
from gamsearch.study.storages import Address, configure_storage

SECRET = "p:w@d/7"
URL = f"postgresql://me:{SECRET}@localhost:1/none"


@pytest.fixture(autouse=True)
def no_urls_given(monkeypatch):
    """Forget the URLs that other tests gave to this process."""
    monkeypatch.setattr(storages, "_GIVEN", [])


# addresses -----------------------------------------------------------------------------------------------------------
def test_a_folder_records_its_storage_without_the_password(tmp_path):
    Address(tmp_path, URL, "mine").save()
    assert SECRET not in (tmp_path / storages.FILE).read_text()
    address = Address.of(tmp_path)
    assert (address.url, address.study) == ("postgresql://me@localhost:1/none", "mine")
    assert SECRET not in address.location


def test_the_password_comes_from_the_option_or_the_environment(tmp_path, monkeypatch):
    Address(tmp_path, URL, "mine").save()
    with pytest.raises(RunError, match="if that storage is yours, set the environment variable GAMSEARCH_STORAGE"):
        Address.of(tmp_path).open()
    monkeypatch.setenv(storages.VARIABLE, "postgresql://other:password@host/db")
    assert Address.of(tmp_path).url == "postgresql://me@localhost:1/none"
    monkeypatch.setenv(storages.VARIABLE, URL)
    assert Address.of(tmp_path).url == URL
    monkeypatch.delenv(storages.VARIABLE)
    with pytest.raises(RunError, match="is in postgresql://me@localhost:1/none, not in sqlite:///x") as caught:
        configure_storage(tmp_path, "sqlite:///x.db", "mine")
    assert SECRET not in str(caught.value)
    with pytest.raises(RunError, match="cannot be reached|pip install"):
        configure_storage(tmp_path, URL, "mine")
    assert Address.of(tmp_path).url == URL


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"storage": 1}', '{"study": "a"}', "\xff"])
def test_a_damaged_address_is_refused(tmp_path, content):
    (tmp_path / storages.FILE).write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match="must hold JSON"):
        Address.of(tmp_path)


@pytest.mark.parametrize("url", ["x", "http://host", "postgresql://a b", "sqlite", "grpc:host:1", "file:///etc/passwd"])
def test_an_invalid_storage_url_is_refused(tmp_path, url):
    with pytest.raises(OptionError, match="must be the URL of an Optuna storage"):
        configure_storage(tmp_path / "run", url, "run")
    assert not (tmp_path / "run").exists()


def test_a_storage_that_cannot_be_reached_is_refused_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setattr(proxy, "CONNECT_S", 0.5)
    for url in (f"grpc://localhost:{free_port()}", f"sqlite:///{tmp_path}/none/x.db", URL):
        with pytest.raises(RunError) as caught:
            configure_storage(tmp_path / "run", url, "run")
        assert SECRET not in str(caught.value)
        assert "cannot be reached" in str(caught.value) or "pip install" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_a_journal_keeps_it(tmp_path):
    (tmp_path / store.JOURNAL).touch()
    with pytest.raises(RunError, match="leave out --storage"):
        configure_storage(tmp_path, f"sqlite:///{tmp_path}/x.db", "run")


@pytest.mark.parametrize(
    "url",
    [
        "grpc://me:s3cret@host",
        "postgresql://ada@corp:s3cret@localhost:1/db",
        "postgresql://me@localhost:1/db?password=s3cret",
        "postgresql://me:s3 s3cret@localhost:1/db",
        "postgresql:me:s3cret@host/db",
        "postgresql://me/x:s3cret@localhost:1/db",
        "postgresql://localhost:1/db?user=me&password=a@bs3cret",
        "mysql://me:s3cret@localhost:1/db",
    ],
)
def test_no_form_of_a_url_reveals_its_password(tmp_path, url):
    with pytest.raises((RunError, OptionError)) as caught:
        configure_storage(tmp_path / "run", url, "run")
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "run").exists()


# whole searches ------------------------------------------------------------------------------------------------------
def test_a_worker_with_its_own_folder_joins_through_a_database(tmp_path, monkeypatch):
    table, space = timed_table(tmp_path, "[4, 6]", 0.2)
    url = f"sqlite:///{tmp_path}/study.db"
    run = start(tmp_path, *search_of(tmp_path, table, space, "--storage", url))
    worker = start(tmp_path, "worker", "--storage", url, "--study", "a", "--out", "far", "--wait", 1)
    assert run.wait(180) == 0 and worker.wait(60) == 0, said(tmp_path)
    folder = tmp_path / "results" / "a"
    monkeypatch.setenv(storages.VARIABLE, url)
    study = store.load(folder)
    monkeypatch.delenv(storages.VARIABLE)
    checked(study, 9)
    assert len(shares(study)) == 2
    assert (folder / "report.html").exists() and not (folder / store.JOURNAL).exists()
    assert start(tmp_path, "status", "results/a").wait(60) == 2  # only the user decides where to connect
    assert "if that storage is yours" in said(tmp_path)
    assert start(tmp_path, "status", "results/a", GAMSEARCH_STORAGE=url).wait(60) == 0
    assert "9 complete" in said(tmp_path) or "8 complete" in said(tmp_path)
    assert start(tmp_path, "report", "far/a", GAMSEARCH_STORAGE=url).wait(60) == 0
    assert (tmp_path / "far" / "a" / "report.html").exists()


def test_a_search_continues_after_its_proxy_was_unreachable(tmp_path, monkeypatch):
    pytest.importorskip("grpc", reason="the gRPC proxy needs grpcio: pip install 'gamsearch[storage]'")
    table, space = timed_table(tmp_path, "[4, 6]", 0.2)
    port = free_port()
    serve = ("serve", "--storage", f"sqlite:///{tmp_path}/study.db", "--port", port)
    server = start(tmp_path, *serve)
    try:
        eventually(lambda: "serving" in said(tmp_path))
        run = start(tmp_path, *search_of(tmp_path, table, space, "--storage", f"grpc://localhost:{port}"))
        eventually(lambda: "trial 3" in said(tmp_path) or run.poll() is not None)
        assert run.poll() is None, said(tmp_path)
        server.kill()
        server.wait()
        time.sleep(5)
        assert run.poll() is None
        server = start(tmp_path, *serve)
        assert run.wait(120) == 0, said(tmp_path)
        monkeypatch.setenv(storages.VARIABLE, f"grpc://localhost:{port}")
        checked(store.load(tmp_path / "results" / "a"), 9)
    finally:
        server.kill()
        server.wait()
