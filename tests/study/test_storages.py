"""Studies outside the run's folder: where they are noted, what is hidden, what happens while their storage is away."""

import shutil
import time
from pathlib import Path

import optuna
import pytest
from made_up import checked, eventually, said, search_of, shares, start, timed_table
from optuna.trial import TrialState
from support.ports import free_port

from gamsearch.errors import OptionError, RunError
from gamsearch.runs.run import refuse_second_leader
from gamsearch.study import artifacts, retrying, storages, store
from gamsearch.study.artifacts import Artifacts
from gamsearch.study.retrying import RetryingStorage
from gamsearch.study.storages import Address, configure_storage
from gamsearch.study.worker_entries import PREFIX
from gamsearch.study.workers import WorkerRegistry

SECRET = "p:w@d/7"
URL = f"postgresql://me:{SECRET}@localhost:1/none"


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch):
    """Other tests gave this process URLs."""
    monkeypatch.setattr(storages, "_GIVEN", [])


# addresses -----------------------------------------------------------------------------------------------------------
def test_a_folder_notes_its_storage_without_the_password(tmp_path):
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
def test_a_damaged_note_is_refused(tmp_path, content):
    (tmp_path / storages.FILE).write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match="must hold JSON"):
        Address.of(tmp_path)


@pytest.mark.parametrize("url", ["x", "http://host", "postgresql://a b", "sqlite", "grpc:host:1", "file:///etc/passwd"])
def test_what_is_no_storage_is_refused(tmp_path, url):
    with pytest.raises(OptionError, match="must be the URL of an Optuna storage"):
        configure_storage(tmp_path / "run", url, "run")
    assert not (tmp_path / "run").exists()


def test_a_storage_that_cannot_be_reached_is_refused_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setattr(storages, "CONNECT_S", 0.5)
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
def test_no_form_of_a_url_shows_its_password(tmp_path, url):
    with pytest.raises((RunError, OptionError)) as caught:
        configure_storage(tmp_path / "run", url, "run")
    assert "s3cret" not in str(caught.value)
    assert not (tmp_path / "run").exists()


# patience ------------------------------------------------------------------------------------------------------------
class Interrupted(optuna.storages.InMemoryStorage):
    """A storage that does what it is asked, but whose answer is lost every other time."""

    calls = 0

    def set_trial_state_values(self, *arguments, **named):
        done = super().set_trial_state_values(*arguments, **named)
        self._fail()
        return done

    def create_new_trial(self, *arguments, **named):
        self._fail()
        return super().create_new_trial(*arguments, **named)

    def _fail(self):
        self.calls += 1
        if self.calls % 2:
            raise ConnectionResetError("server closed the connection")


def test_lost_answers_are_asked_for_again(monkeypatch):
    monkeypatch.setattr(retrying.time, "sleep", lambda seconds: None)
    study = optuna.create_study(storage=RetryingStorage(Interrupted(), "memory"))
    for value in range(4):
        study.tell(study.ask(), float(value))
    assert [t.values for t in study.trials if t.state == TrialState.COMPLETE] == [[0.0], [1.0], [2.0], [3.0]]


def test_a_storage_that_stays_away_ends_in_one_sentence():
    class Gone(optuna.storages.InMemoryStorage):
        def get_all_trials(self, *arguments, **named):
            raise ConnectionRefusedError("no route")

    study = optuna.create_study(storage=RetryingStorage(Gone(), "postgresql://me:***@host/db", retry_s=0.1))
    with pytest.raises(RunError, match=r"postgresql://me:\*\*\*@host/db has not answered for 0 s"):
        study.get_trials()


def test_mistakes_are_not_repeated():
    study = optuna.create_study(storage=RetryingStorage(optuna.storages.InMemoryStorage(), "memory"))
    begun = time.monotonic()
    with pytest.raises(KeyError):
        optuna.load_study(study_name="none", storage=study._storage)
    assert time.monotonic() - begun < 1


# files ---------------------------------------------------------------------------------------------------------------
def test_files_are_handed_on_and_replaced(tmp_path):
    study = optuna.create_study()
    files = Artifacts(study, str(tmp_path / "store"))
    (tmp_path / "a").write_text("first")
    files.upload(tmp_path / "a", "weights/0123456789ab-seed0.pt")
    (tmp_path / "a").write_text("second")
    files.upload(tmp_path / "a", "weights/0123456789ab-seed0.pt")
    assert files.download("weights/0123456789ab-seed0.pt", tmp_path / "there" / "b")
    assert (tmp_path / "there" / "b").read_text() == "second"
    assert len(list((tmp_path / "store").iterdir())) == 1
    assert not files.download("other", tmp_path / "c") and not (tmp_path / "c").exists()


def test_a_place_that_only_the_study_names_is_not_used(tmp_path):
    with pytest.raises(RunError, match="if you trust the place"):
        artifacts.trusted_place("s3://somebody", "", needed=True)
    assert artifacts.trusted_place("s3://somebody", "", needed=False) == ""
    assert artifacts.trusted_place("s3://somebody", "s3://mine", needed=True) == "s3://mine"
    with pytest.raises(RunError, match="cannot be created"):
        Artifacts(optuna.create_study(), "x\0y")


def test_names_from_a_study_cannot_leave_the_folder():
    names = ["weights/0123456789ab-seed0.pt", "weights/../../x.pt", "/etc/passwd", "weights/0123456789ab-seed0.pt/../y"]
    assert artifacts.uploaded_weights({f"artifact:{name}": "1" for name in names}) == names[:1]


def test_an_identity_that_is_a_path_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("x")
    study = optuna.create_study()
    study.set_user_attr("artifact:baseline/baseline.pt", "../secret")
    files = Artifacts(study, str(tmp_path / "store"))
    assert not files.download("baseline/baseline.pt", tmp_path / "out")


# whole searches ------------------------------------------------------------------------------------------------------
def test_a_worker_with_a_folder_of_its_own_takes_part_through_a_database(tmp_path, monkeypatch):
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
    assert start(tmp_path, "status", "results/a").wait(60) == 2  # nobody but the user says where to connect
    assert "if that storage is yours" in said(tmp_path)
    assert start(tmp_path, "status", "results/a", GAMSEARCH_STORAGE=url).wait(60) == 0
    assert "10 complete" in said(tmp_path) or "9 complete" in said(tmp_path)
    assert start(tmp_path, "report", "far/a", GAMSEARCH_STORAGE=url).wait(60) == 0
    assert (tmp_path / "far" / "a" / "report.html").exists()


class Said(list):
    """A progress that remembers what it was told."""

    say = list.append


def test_a_second_run_on_the_same_study_from_another_folder_is_refused(tmp_path):
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    first, second = (WorkerRegistry(study, tmp_path / name, "cpu", beat_s=0.1) for name in ("one", "two"))
    with first, second, pytest.raises(RunError, match=r"led by another run \(process \d+ on .*, cpu\); wait for it"):
        refuse_second_leader(second, Said())


def test_a_leader_that_died_elsewhere_is_waited_for(tmp_path):
    study = optuna.create_study()
    study.set_user_attr(PREFIX + "0" * 12, {"pid": 1, "host": "elsewhere", "beat": 5, "leads": True})
    with WorkerRegistry(study, tmp_path, "cpu", beat_s=0.1) as second:
        said = Said()
        refuse_second_leader(second, said)
        assert len(said) == 1 and second.leaders() == []


def test_two_machines_train_one_search_and_hand_on_their_weights(tmp_path, tiny_data, monkeypatch):
    """Real trainings; the second one has its own folder and its own copy of the data."""
    shutil.copytree(tiny_data.parent, tmp_path / "copy")
    url, shared = f"sqlite:///{tmp_path}/study.db", tmp_path / "store"
    sizes = ("--imgsz", 64, "--batch", 4, "--epochs", 2, "--baseline-epochs", 1, "--noise-seeds", 2, "--trials", 6)
    how = ("--space", "gam-small", "--sampler", "random", "--stopping", "off", "--train", "workers=0", "--name", "a")
    here = ("--data", tiny_data, "--device", "cpu", "--storage", url, "--artifacts", shared)
    run = start(tmp_path, "run", *here, *sizes, *how)
    there = ("--data", tmp_path / "copy" / tiny_data.name, "--out", "far", "--wait", 2, "--artifacts", shared)
    worker = start(tmp_path, "worker", "--storage", url, "--study", "a", *there)
    assert run.wait(240) == 0 and worker.wait(60) == 0, said(tmp_path)
    monkeypatch.setenv(storages.VARIABLE, url)
    study = store.load(tmp_path / "results" / "a")
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    assert len(shares(study)) == 2 and len(done) == 7
    assert len({t.user_attrs["key"] for t in done}) == 7
    wanted = {f"{t.user_attrs['key']}-seed0.pt" for t in done}
    assert wanted <= {path.name for path in (tmp_path / "results" / "a" / "weights").iterdir()}
    assert (tmp_path / "far" / "a" / "baseline" / "baseline.pt").exists()
    assert len(study.user_attrs["baseline_seeds"]) == 2
    monkeypatch.delenv(storages.VARIABLE)
    unasked = start(tmp_path, "worker", "--storage", url, "--study", "a", "--out", "y")
    assert unasked.wait(60) == 2 and "if you trust the place" in said(tmp_path)
    given = ("--storage", url, "--study", "a", "--artifacts", shared, "--out", "x")
    other = start(tmp_path, "worker", *given, "--data", wrong(tmp_path / "copy"))
    assert other.wait(60) == 2 and "the data of this machine" in said(tmp_path)


def wrong(data: Path) -> Path:
    """A copy of a data set in which one label is another one."""
    label = next((data / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    return data / "data.yaml"


def test_a_search_goes_on_after_its_proxy_was_away(tmp_path, monkeypatch):
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
