"""Manifests whose keys or values cannot be."""

import os
from typing import Any

import pytest
from support.manifests import edited, refused

from gamsearch.study import store


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"settings__name": "../elsewhere"}, "settings.name"),
        ({"settings__name": ["a"]}, "settings.name"),
        ({"settings__trials": "many"}, "key 'settings.trials': must be a whole number"),
        ({"settings__trials": True}, "settings.trials"),
        ({"settings__trials": 10**4000}, "settings.trials"),
        ({"settings__trials": -1}, "--trials must be at least 1"),
        ({"settings__imgsz": 100}, "--imgsz"),
        ({"settings__storage": "x"}, "settings.storage"),
        ({"settings__stoping": "off"}, "did you mean 'stopping'"),
        ({"settings__objectives": "map50"}, "settings.objectives"),
        ({"settings__objectives": [1]}, "settings.objectives"),
        ({"settings__train": {"project": "/tmp"}}, "use --out"),
        ({"settings__train": {"lr0": {"a": 1}}}, "settings.train"),
        ({"settings__train": {"lr0": "\x1b[2J"}}, "settings.train"),
        ({"settings__evaluator": "magic"}, "there is no evaluator 'magic'"),
        ({"settings__table": "gone.json"}, "gone.json"),
        ({"settings__table": "/dev/zero"}, "must name a file"),
        ({"space__name": "../../evil"}, "space.name"),
        ({"space__name": "a\\b"}, "space.name"),
        ({"space__content": 3}, "space.content"),
        ({"detector__name": "/etc/x"}, "detector.name"),
        ({"detector__yaml": None}, "detector.yaml"),
        ({"detector__yaml": {"activation": "__import__('os').system('echo')"}}, "detector.yaml.activation"),
        ({"fingerprints__table": "0" * 12}, "the table is not that of"),
        ({"fingerprints__space": "0" * 12}, "the search space is not that of"),
        ({"fingerprints__table": [1]}, "key 'fingerprints'"),
        ({"settings__baseline_epochs": "long"}, "--baseline-epochs must be a whole number or auto"),
        ({"baseline": {"decay_after": 10**12}}, "key 'baseline'"),
        ({"data": {"drawn": {"train": 5}}}, "data.drawn"),
        (
            {"data": {"drawn": {"form": 2, "train": 10**9, "val": 1, "imgsz": 64, "seed": 0, "half": 0}}},
            "data.drawn.train",
        ),
        ({"surprise": 1}, "key 'surprise': unknown"),
    ],
    ids=str,
)
def test_a_manifest_with_impossible_values_is_refused(replayed, here, capsys, changes: dict[str, Any], says: str):
    path = edited(replayed, **changes)
    assert says in refused(capsys, "run", "--from", str(path))
    assert not (here / "results" / "a-again" / store.JOURNAL).exists()
    assert sorted(os.listdir(here)) == ["results"]
