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
EXHAUSTIVE = (("off", "brute", 500), ("aggressive", "brute", 500))
PLANS = (*EXHAUSTIVE, ("off", "random", 5), ("aggressive", "random", 4))
"""Stopping, sampler and number of trials of a search; the space has nine architectures."""
CHOICE = st.integers(0, MOST_WORKERS - 1)


class SharedStudy(RuleBasedStateMachine):
    """Any order of what may happen to the workers of one search; at the end it is left to itself."""

    @initialize(plan=st.sampled_from(PLANS), workers=st.lists(st.booleans(), max_size=MOST_WORKERS - 1))
    def create(self, plan, workers):
        """Open the study and let other workers join, some of them on other machines."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.plan, self.killed = plan, 0
        self.folder = Path(tempfile.mkdtemp(prefix="gamsearch-shared-"))
        self.world = World(self.folder, *plan)
        self.world.start(leads=True, far=False)
        while not self.world.is_open:
            self.world.advance()
        for far in workers:
            self.world.start(leads=False, far=far)

    def any_worker(self, number):
        return self.world.alive[number % len(self.world.alive)]

    @precondition(lambda self: len(self.world.alive) < MOST_WORKERS)
    @rule(far=st.booleans())
    def join(self, far):
        leads = not any(worker.leads for worker in self.world.alive)
        self.world.start(leads=leads, far=far and not leads)

    @precondition(lambda self: self.world.alive)
    @rule(turns=st.lists(st.tuples(CHOICE, st.integers(1, 15)), min_size=1, max_size=12))
    def work(self, turns):
        for number, calls in turns:
            if self.world.alive and not (worker := self.any_worker(number)).stalled:
                worker.step(calls)

    @rule(times=st.integers(1, 6))
    def advance(self, times):
        for _ in range(times):
            self.world.advance()

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE, what=st.sampled_from(["call", "reply"]))
    def lose(self, number, what):
        self.any_worker(number).fault = what

    @precondition(lambda self: self.world.alive)
    @rule(number=CHOICE, how=st.sampled_from(["kill", "leave", "stall"]))
    def disturb(self, number, how):
        worker = self.any_worker(number)
        if how == "kill" and self.killed < MOST_KILLED:
            self.killed += 1
            worker.kill()
        elif how == "leave":
            worker.leave()
        else:
            worker.stalled = not worker.stalled

    @invariant()
    def nothing_is_evaluated_twice(self):
        if hasattr(self, "world"):
            assert max(self.world.evaluated().values(), default=0) <= 1, self.world.story()
            assert not self.world.blamed() and not self.world.mixed_up(), self.world.story()

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            self.world.finish()
            found = +self.world.evaluated()
            assert not self.world.lost(), f"an architecture was lost\n{self.world.story()}"
            assert set(found.values()) == {1}, f"an architecture was evaluated twice\n{self.world.story()}"
            assert len(found) == self.world.space.size or self.plan not in EXHAUSTIVE, self.world.story()
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
