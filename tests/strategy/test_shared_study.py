"""Workers that start, die, stall, leave and lose calls of the storage in any order lose and double no architecture.

10,000 steps take some minutes:

    GAMSEARCH_STEPS=10000 pytest tests/strategy/test_shared_study.py
"""

import os
import shutil
import tempfile
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.shared_study import EPOCHS, World

from gamsearch.study.recovery import LOSSES

STEPS_PER_SEARCH = 40
STEPS = int(os.environ.get("GAMSEARCH_STEPS", "200"))
MOST_WORKERS = 4
MOST_KILLED = LOSSES - 2
"""A candidate whose workers vanish `LOSSES` times is given up."""
CHOICE = st.integers(0, MOST_WORKERS - 1)


class SharedStudy(RuleBasedStateMachine):
    """Any order of what may happen to the workers of one search; at the end it is left to itself."""

    @initialize(stopping=st.sampled_from(["off", "aggressive"]))
    def create(self, stopping):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder, self.killed = Path(tempfile.mkdtemp(prefix="gamsearch-shared-")), 0
        self.world = World(self.folder, stopping)
        self.world.start(leads=True, far=False)

    def any_worker(self, number):
        return self.world.alive[number % len(self.world.alive)]

    @precondition(lambda self: len(self.world.alive) < MOST_WORKERS and self.world.is_open)
    @rule(far=st.booleans())
    def join(self, far):
        self.world.start(leads=not any(worker.leads for worker in self.world.alive), far=far)

    @precondition(lambda self: not self.world.alive)
    @rule()
    def start_again(self):
        self.world.start(leads=True, far=False)

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE, calls=st.integers(1, 60))
    def step(self, number, calls):
        worker = self.any_worker(number)
        if not worker.stalled:
            worker.step(calls)

    @precondition(lambda self: self.world.alive and self.killed < MOST_KILLED)
    @rule(number=CHOICE)
    def kill(self, number):
        self.any_worker(number).kill()
        self.killed += 1

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE, what=st.sampled_from(["call", "reply"]))
    def lose(self, number, what):
        self.any_worker(number).fault = what

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE)
    def leave(self, number):
        self.any_worker(number).leave()

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE)
    def stall_or_continue(self, number):
        worker = self.any_worker(number)
        worker.stalled = not worker.stalled

    @rule(times=st.integers(1, 6))
    def advance(self, times):
        for _ in range(times):
            self.world.advance()

    @invariant()
    def nothing_is_evaluated_twice(self):
        if hasattr(self, "world"):
            assert max(self.world.evaluated().values(), default=0) <= 1, self.world.story()
            assert not self.world.blamed(), self.world.story()

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            self.world.finish()
            found = self.world.evaluated()
            assert sorted(found) == sorted(a.key for a in self.world.space.enumerate()), "an architecture was lost"
            assert set(found.values()) == {1}, f"an architecture was evaluated twice\n{self.world.story()}"
            assert max(self.world.epochs().values()) <= EPOCHS, f"an epoch was counted twice\n{self.world.story()}"
            assert not self.world.blamed(), self.world.story()
        finally:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)


SharedStudy.TestCase.settings = settings(
    max_examples=max(1, STEPS // STEPS_PER_SEARCH),
    stateful_step_count=STEPS_PER_SEARCH,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes long
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestSharedStudy = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")(SharedStudy.TestCase)
