"""Callbacks and trackers: each trial once, also over several calls, and a tracker that fails ends no search."""

import pytest

import gamsearch as gs
from gamsearch.runs.tracking.registry import TRACKERS, TrackerSpec
from gamsearch.study import store


class Seen(gs.Callback):
    """Keeps what it is called with."""

    def __init__(self):
        self.trials, self.answers = [], []

    def on_trial(self, record, trial):
        self.trials.append((int(trial["number"]), trial["state"], len(record.trials)))

    def on_end(self, record):
        self.answers.append(record.answer().headline)


class Fails(Seen):
    """Fails at the second trial."""

    def on_trial(self, record, trial):
        super().on_trial(record, trial)
        if len(self.trials) == 2:
            raise ValueError("the user's own mistake")


def replayed(folder, **options):
    return gs.search(evaluator="replay", table="bccd", out=str(folder), name="tracked", **options)


def test_a_callback_is_called_once_for_each_trial_and_only_for_new_ones_when_the_run_is_resumed(tmp_path):
    first, second = Seen(), Seen()
    run = replayed(tmp_path, trials=3, callbacks=[first])
    known = list(run.trials["number"])
    assert [number for number, _, _ in first.trials] == known and len(known) >= 4
    assert [rows for _, _, rows in first.trials[1:]] == known[2:] + [len(known)]  # each as soon as it has ended
    run = replayed(tmp_path, trials=6, callbacks=[second])
    assert [number for number, _, _ in second.trials] == list(run.trials["number"])[len(known) :] != []
    assert second.answers == [run.answer.headline]


def test_what_a_callback_raises_ends_the_search_and_loses_nothing(tmp_path):
    with pytest.raises(ValueError, match="own mistake"):
        replayed(tmp_path, trials=4, callbacks=[Fails()])
    kept = gs.load(tmp_path / "tracked").trials
    run = replayed(tmp_path, trials=4)
    assert len(kept) < len(run.trials) and list(run.trials["key"][: len(kept)]) == list(kept["key"])


def test_tensorboard_holds_a_run_for_each_trial_and_the_answer(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(name):
        found = EventAccumulator(str(tmp_path / "tracked" / "tracking" / "tensorboard" / name))
        return found.Reload()

    replayed(tmp_path, trials=2, track="tensorboard")
    run = replayed(tmp_path, trials=4, track=["tensorboard"])
    for _, row in run.trials.iterrows():
        curve = read(f"tracked-trial-{row['number']:03d}").Scalars("map50_95")
        assert [(e.step, pytest.approx(e.value)) for e in curve] == [(c["epoch"], c["map50_95"]) for c in row["curve"]]
    last = max(read("tracked-answer").Tensors("answer/text_summary"), key=lambda event: event.step)
    text = last.tensor_proto.string_val[0].decode()
    assert run.answer.headline in text and all(label in text for label in run.front["label"])


class Links:
    """Keeps its latest log as a link to elsewhere, as Weights & Biases does."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.link = folder / "latest"

    def log_trial(self, trial): ...

    def log_answer(self, answer):
        self.link.symlink_to("/dev/null")


def test_links_that_a_tracker_makes_do_not_make_the_run_unreadable(tmp_path):
    with TRACKERS.temporarily("links", TrackerSpec("links", Links)):
        run = replayed(tmp_path, trials=2, track="links")
    assert gs.report(run) and len(gs.load(run.folder).trials) == len(run.trials)
    (tmp_path / "elsewhere").mkdir()
    moved = (run.folder / "tracking").rename(tmp_path / "elsewhere" / "tracking")
    (run.folder / "tracking").symlink_to(moved)
    with pytest.raises(gs.errors.RunError, match="is a link out of the run's folder"):
        replayed(tmp_path, trials=3)


LINES = """
import gamsearch as gs

@gs.register.tracker("lines_of_text")
class Lines:
    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "lines.txt"

    def log_trial(self, trial):
        with self.file.open("a") as file:
            file.write(f"{trial.name} {trial.state} {trial.parameters['architecture']}\\n")

    def log_answer(self, answer): ...
"""


def test_a_tracker_of_a_plug_in_of_the_space_is_known(tmp_path, tiny_data, monkeypatch):
    (tmp_path / "lines_plugin.py").write_text(LINES)
    (tmp_path / "mine.yaml").write_text("plugins: lines_plugin\ndetector: yolov8n\nsites: [4]\nattention: {SE: }\n")
    monkeypatch.syspath_prepend(tmp_path)
    small = {"epochs": 1, "baseline_epochs": 1, "imgsz": 64, "batch": 4, "noise_seeds": 1, "trials": 1}
    space = str(tmp_path / "mine.yaml")
    run = gs.search(str(tiny_data), space=space, out=str(tmp_path), name="a", track="lines_of_text", **small)
    lines = (run.folder / "tracking" / "lines.txt").read_text().splitlines()
    assert lines[0] == "a-trial-000 complete baseline" and len(lines) == len(run.trials) == 2


def test_a_trial_that_ended_before_it_had_an_architecture_is_left_out(tmp_path):
    replayed(tmp_path, trials=2)
    store.load(tmp_path / "tracked").ask()  # by a process that is killed then
    logged = []

    class Works(Broken):
        def log_trial(self, trial):
            logged.append(trial.number)

    with TRACKERS.temporarily("remote", TrackerSpec("remote", Works)):
        run = replayed(tmp_path, trials=3, track="remote")
    nameless = run.trials[run.trials["key"] == ""]["number"].tolist()
    assert len(nameless) == 1 and sorted([*logged, *nameless]) == run.trials["number"].tolist()


class Broken:
    """A server that is gone after the first trial."""

    def __init__(self, folder):
        self.logged = []

    def log_trial(self, trial):
        if self.logged:
            raise ConnectionError("no route to host")
        self.logged.append(trial.name)

    def log_answer(self, answer): ...


def test_a_tracker_that_fails_is_reported_and_what_it_missed_is_logged_when_the_run_is_resumed(tmp_path, capsys):
    logged = []

    class Works(Broken):
        def log_trial(self, trial):
            logged.append(trial.number)

    with TRACKERS.temporarily("remote", TrackerSpec("remote", Broken)):
        run = replayed(tmp_path, trials=3, track="remote")
    said = capsys.readouterr().out
    assert said.count("--track remote could not log trial 1 (ConnectionError: no route to host)") == 1
    with TRACKERS.temporarily("remote", TrackerSpec("remote", Works)):
        replayed(tmp_path, trials=3, track="remote")
    assert logged == list(run.trials["number"])[1:]


def test_a_tracker_without_its_package_and_an_unknown_one_are_refused_before_anything_begins(tmp_path):
    absent = TrackerSpec("absent", Broken, requires="no_such_package")
    missing = pytest.raises(gs.errors.OptionError, match="pip install no-such-package")
    with TRACKERS.temporarily("absent", absent), missing:
        replayed(tmp_path, trials=3, track="absent")
    with pytest.raises(gs.errors.OptionError, match="did you mean 'wandb'"):
        replayed(tmp_path, trials=3, track="wandbb")
    assert not (tmp_path / "tracked").exists()
