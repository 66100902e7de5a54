"""Two workers that claim one architecture at the same time."""

from gamsearch.study.claims import TrialClaims
from gamsearch.study.history import History
from gamsearch.study.workers import WorkerRegistry


def test_the_retry_of_a_lost_trial_does_not_give_way_to_it(tmp_path, study):
    """The worker that recovered the lost trial was killed after it enqueued the retry, before it failed the trial."""
    with WorkerRegistry(study, tmp_path, "cpu") as registry:
        dead = study.ask()
        dead.set_user_attr("worker", "0" * 12)
        dead.suggest_int("x", 0, 3)
        dead.set_user_attr("key", "0123456789ab")
        study.enqueue_trial(dead.params, user_attrs={"retry_of": dead.number})
        retry, other = study.ask(), study.ask()
        assert TrialClaims(History(study), registry).claim(retry, "0123456789ab") is None
        assert TrialClaims(History(study), registry).claim(other, "0123456789ab") == dead.number
