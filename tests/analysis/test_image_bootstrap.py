"""The paired bootstrap over validation images, against Ultralytics' own average precision."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.utils.metrics import ap_per_class

from gamsearch.analysis import image_bootstrap
from gamsearch.analysis.image_bootstrap import Detections, average_precision, mean_average_precision, paired_bootstrap
from gamsearch.errors import RunError


def detections(seed: int, images: int = 20, classes: int = 4, targets: int = 60, extra: int = 90, tied=False):
    """A plausible validation: some targets found up to some IoU, further predictions false."""
    rng = np.random.default_rng(seed)
    target_cls, target_image = rng.integers(classes, size=targets), rng.integers(images, size=targets)
    hit = rng.permutation(targets)[: rng.integers(targets + 1)]
    reach = np.concatenate([rng.integers(11, size=len(hit)), np.zeros(extra, int)])
    confidence = rng.random(len(reach)) * 0.6 + 0.4 * (np.arange(len(reach)) < len(hit)) * rng.random()
    return Detections(
        tp=np.arange(10) < reach[:, None],
        conf=(np.round(confidence, 1) if tied else confidence).astype(np.float32),
        pred_cls=np.concatenate([target_cls[hit], rng.integers(classes + 1, size=extra)]),
        pred_image=np.concatenate([target_image[hit], rng.integers(images, size=extra)]),
        target_cls=target_cls,
        target_image=target_image,
        images=images,
    )


def ultralytics(found: Detections) -> np.ndarray:
    """Ultralytics' average precision `[classes with targets, 10]`."""
    return ap_per_class(found.tp, found.conf, found.pred_cls, found.target_cls)[5]


def repeated(found: Detections, times: np.ndarray) -> Detections:
    """The validation of a data set that holds image `i` `times[i]` times."""
    predictions = np.repeat(np.arange(len(found.conf)), times[found.pred_image])
    targets = np.repeat(np.arange(len(found.target_cls)), times[found.target_image])
    names = {"tp": predictions, "conf": predictions, "pred_cls": predictions, "pred_image": predictions}
    names |= {"target_cls": targets, "target_image": targets}
    return replace(found, **{name: getattr(found, name)[index] for name, index in names.items()})


@given(
    seed=st.integers(0, 10**6),
    targets=st.integers(1, 80),
    extra=st.integers(0, 150),
    classes=st.integers(1, 8),
    tied=st.booleans(),
)
@settings(deadline=None, derandomize=True)
def test_with_every_image_once_it_is_ultralytics_average_precision(seed, targets, extra, classes, tied):
    """Images and predicted classes without targets, classes without predictions and equal confidences among them."""
    found = detections(seed, targets=targets, extra=extra, classes=classes, tied=tied)
    ones, expected = np.ones((1, found.images)), ultralytics(found)
    assert average_precision(found, ones)[0] == pytest.approx(expected, abs=1e-9)
    assert mean_average_precision(found, ones)[0] == pytest.approx([expected.mean(), expected[:, 0].mean()], abs=1e-9)


@given(seed=st.integers(0, 10**6), targets=st.integers(1, 60))
@settings(deadline=None, derandomize=True)
def test_weights_stand_for_repeated_images_and_a_class_that_a_resample_misses_is_left_out(seed, targets):
    found = detections(seed, targets=targets)
    times = np.random.default_rng(seed + 1).multinomial(found.images, np.full(found.images, 1 / found.images))
    copied = repeated(found, times)
    weighted = average_precision(found, times[None].astype(float))[0]
    present = np.isin(found.classes, copied.classes)
    assert weighted[present] == pytest.approx(ultralytics(copied), abs=1e-9) and np.isnan(weighted[~present]).all()
    if present.any():
        mean = mean_average_precision(found, times[None].astype(float))[0]
        assert mean[0] == pytest.approx(ultralytics(copied).mean(), abs=1e-9)


def test_a_resample_without_targets_has_no_mean_and_is_left_out():
    found = replace(detections(1), target_image=np.zeros(60, int))
    weights = np.ones((2, found.images))
    weights[1, 0] = 0
    assert np.isnan(mean_average_precision(found, weights)).any(axis=1).tolist() == [False, True]
    assert 100 < paired_bootstrap(found, found, 200)["resamples"] < 200


def test_no_predictions_at_all_are_worth_nothing():
    found = detections(2)
    nothing = replace(found, **{n: getattr(found, n)[:0] for n in ("tp", "conf", "pred_cls", "pred_image")})
    interval = paired_bootstrap(nothing, found, 50)["map50"]
    assert interval["difference"] == pytest.approx(-ultralytics(found)[:, 0].mean())


def test_a_training_does_not_differ_from_itself():
    none = {"difference": 0.0, "low": 0.0, "high": 0.0}
    assert paired_bootstrap(detections(3), detections(3), 50) == {"resamples": 50, "map50_95": none, "map50": none}


def test_the_interval_is_that_of_resampling_image_by_image():
    """Against Ultralytics' function on copied images: the same spread within what 400 resamples leave open."""
    candidate, baseline = detections(4), replace(detections(4), tp=np.roll(detections(4).tp, 1, axis=0))
    rng = np.random.default_rng(0)
    plain = []
    for _ in range(400):
        times = np.bincount(rng.integers(candidate.images, size=candidate.images), minlength=candidate.images)
        plain.append(ultralytics(repeated(candidate, times)).mean() - ultralytics(repeated(baseline, times)).mean())
    found = paired_bootstrap(candidate, baseline, 2000)["map50_95"]
    width = np.ptp(np.percentile(plain, [2.5, 97.5]))
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(plain, [2.5, 97.5]), abs=0.2 * width)
    assert found["low"] < found["difference"] < found["high"]


def test_the_same_seed_gives_the_same_interval_whatever_the_chunks(monkeypatch):
    candidate, baseline = detections(4), replace(detections(4), tp=np.roll(detections(4).tp, 1, axis=0))
    whole = paired_bootstrap(candidate, baseline, 100, seed=7)
    monkeypatch.setattr(image_bootstrap, "CELLS", 1000)
    assert paired_bootstrap(candidate, baseline, 100, seed=7) == whole
    assert paired_bootstrap(candidate, baseline, 100, seed=8) != whole


def test_validations_of_different_targets_are_refused():
    other = replace(detections(1), target_cls=detections(1).target_cls + 1)
    with pytest.raises(RunError, match="same split"):
        paired_bootstrap(detections(1), other)


def test_the_order_of_the_targets_does_not_matter():
    found = detections(1)
    turned = replace(found, target_cls=found.target_cls[::-1], target_image=found.target_image[::-1])
    assert paired_bootstrap(found, turned, 20)["map50_95"]["high"] == 0


def test_detections_are_read_from_a_file_of_their_arrays(tmp_path):
    found = detections(6)
    np.savez_compressed(tmp_path / "seed-0.npz", **vars(found))
    loaded = Detections.load(tmp_path / "seed-0.npz")
    assert loaded.images == found.images and loaded.tp.dtype == bool and loaded.conf.dtype == np.float32
    assert paired_bootstrap(found, loaded, 10)["map50"]["low"] == 0


def test_neither_torch_nor_optuna_is_needed():
    modules = "gamsearch.analysis.image_bootstrap, gamsearch.analysis.verification"
    code = f"import sys, {modules}; print({{'torch', 'optuna'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
