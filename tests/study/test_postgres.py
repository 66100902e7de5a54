"""Four workers on a real PostgreSQL server, which the test starts itself; skipped where there is none."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up import checked, eventually, said, search_of, shares, start, timed_table
from optuna.trial import TrialState
from postgres import BINARIES, PASSWORD, Server, postgres

from gamsearch.study import store

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'gamsearch[storage]'")
pytestmark = pytest.mark.skipif(not BINARIES, reason="needs a PostgreSQL server: apt install postgresql")


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres() as made:
        yield made


def nowhere(here: Path) -> None:
    """Check that no file of a run holds the password."""
    for path in here.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_four_workers_evaluate_forty_trials_once_each(tmp_path, server):
    table, space = timed_table(tmp_path, "[4, 6, 9, 12]", 0.1)  # 81 architectures
    run = start(tmp_path, *limited(table, space, 40), "--storage", server.url, "--workers", 2)
    far = ("worker", "--study", "a", "--wait", 1, "--storage", server.url)
    others = [start(tmp_path, *far, "--out", f"far{n}") for n in range(2)]
    assert run.wait(300) == 0, said(tmp_path)
    assert [worker.wait(60) for worker in others] == [0, 0], said(tmp_path)
    study = opened(tmp_path, server)
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    assert len(done) == 41 and len({t.user_attrs["key"] for t in done}) == 41  # the baseline is the 41st
    assert len(shares(study)) == 4
    assert not store.trials(study, TrialState.RUNNING, TrialState.FAIL)
    nowhere(tmp_path)


def test_a_search_outlives_thirty_seconds_without_its_server(tmp_path, server):
    table, space = timed_table(tmp_path, "[4, 6]", 0.3)
    run = start(tmp_path, *search_of(tmp_path, table, space, "--storage", server.url, "--workers", 2))
    eventually(lambda: "trial 3" in said(tmp_path))
    server.stop()
    time.sleep(30)
    assert run.poll() is None, said(tmp_path)
    server.start()
    assert run.wait(180) == 0, said(tmp_path)
    checked(opened(tmp_path, server), 9)
    nowhere(tmp_path)


def test_real_trainings_share_a_server(tmp_path, server, tiny_data):
    sizes = ("--imgsz", 64, "--batch", 4, "--epochs", 2, "--baseline-epochs", 1, "--noise-seeds", 2, "--trials", 6)
    how = ("--space", "gam-small", "--sampler", "random", "--stopping", "off", "--train", "workers=0", "--name", "a")
    given = ("--data", tiny_data, "--device", "cpu", "--workers", 2, "--storage", server.url)
    assert start(tmp_path, "run", *given, *sizes, *how).wait(400) == 0, said(tmp_path)
    study = opened(tmp_path, server)
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    assert len(done) == 7 and len({t.user_attrs["key"] for t in done}) == 7
    assert len(shares(study)) == 2
    nowhere(tmp_path)


def limited(table: Path, space: Path, trials: int) -> tuple[object, ...]:
    words = list(search_of(table.parent, table, space))
    words[words.index("--trials") + 1] = trials
    return tuple(words)


def opened(here: Path, server: Server):
    """The study, with the password from the environment as a user without --storage would give it."""
    os.environ["GAMSEARCH_STORAGE"] = server.url
    try:
        return store.load(here / "results" / "a")
    finally:
        del os.environ["GAMSEARCH_STORAGE"]
