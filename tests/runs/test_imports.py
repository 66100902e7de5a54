"""The user's own model YAMLs, trained and ranked beside the search."""

import json
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

import gamsearch
from gamsearch.cli.main import main
from gamsearch.errors import OptionError, RunError
from gamsearch.reporting import write
from gamsearch.runs import manifest
from gamsearch.runs.run import recorded_settings
from gamsearch.study import store

EXAMPLES = ROOT / "examples" / "import"
SMALL = {"imgsz": 64, "batch": 4, "epochs": 1, "baseline_epochs": 1, "noise_seeds": 2, "trials": 2}


@pytest.fixture(scope="module")
def imported(tiny_data: Path, tmp_path_factory) -> "gamsearch.Run":
    """A run of two imported files in a space that holds neither; the files are gone when it has ended."""
    home = tmp_path_factory.mktemp("imports")
    files = []
    for name in ("yolov8n-se-eca.yaml", "yolov8n-gam-detect.yaml"):
        (home / name).write_text((EXAMPLES / name).read_text())
        files.append(home / name)
    run = gamsearch.search(tiny_data, space="gam-demo", name="own", out=home / "runs", imports=files, **SMALL)
    for file in files:
        file.unlink()
    return run


def test_imported_files_are_trained_whatever_the_space_holds_and_marked_in_the_table(imported):
    rows = imported.trials
    assert list(rows["imported"]) == ["", "yolov8n-se-eca.yaml", "yolov8n-gam-detect.yaml"]
    assert list(rows["state"]) == ["complete"] * 3 and list(rows["label"])[1] == "SE@9 r16 + ECA@15"
    assert set(imported.record.confirmations) == set(rows["key"][1:])
    write(imported.record, imported.folder)
    assert (imported.folder / "trials.csv").read_text().count("yolov8n-se-eca.yaml") == 1
    page = (imported.folder / "report.html").read_text()
    section = page[page.index("<h2>Imported architectures</h2>") :].partition("</table>")[0]
    assert "yolov8n-gam-detect.yaml" in section and "2 of 2" in section and "held-out" in section


def test_the_record_and_the_manifest_hold_the_architectures_so_that_the_files_may_go(imported):
    known = store.snapshot(imported.folder).user_attrs["imported"]
    assert [one["file"] for one in known] == ["yolov8n-se-eca.yaml", "yolov8n-gam-detect.yaml"]
    written = manifest.Manifest.read(imported.folder).content
    assert written["imported"] == json.loads(json.dumps(known)) and len(written["settings"]["imports"]) == 2
    again = gamsearch.search(name="own", out=imported.folder.parent, data=recorded_settings(imported.folder)["data"])
    assert len(again.trials) == 3
    with pytest.raises(RunError, match="was made with --import .*leave --import out to resume it"):
        gamsearch.search(name="own", out=imported.folder.parent, imports="another.yaml", data=again.settings["data"])


def test_a_manifest_whose_architecture_is_damaged_is_refused(imported, tmp_path):
    content = yaml.safe_load((imported.folder / manifest.FILE).read_text())
    content["imported"][1]["architecture"]["placements"][0]["site"] = 999
    (tmp_path / manifest.FILE).write_text(yaml.safe_dump(content))
    with pytest.raises(RunError, match="key 'imported', entry 1: cannot be used .*site 999"):
        gamsearch.repeat(tmp_path, out=tmp_path / "runs")


def test_a_file_that_cannot_be_understood_ends_the_command_before_anything_is_trained(tiny_data, tmp_path, capsys):
    text = (EXAMPLES / "yolov8n-cbam.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("CBAM, [512, 7]", "MyAttention, [512, 7]"))
    words = ["run", "--data", str(tiny_data), "--out", str(tmp_path / "runs"), "--name", "x", "--imgsz", "64"]
    assert main([*words, "--import", str(EXAMPLES / "yolov8n-ema.yaml"), str(broken)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"gamsearch: {broken}: row 9, [-1, 1, 'MyAttention', [512, 7]], is neither row 7 of yolov8n")
    assert not (tmp_path / "runs" / "x").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"evaluator": "supernet"}, "--import trains what it imports, which --evaluator supernet does not"),
        ({"trials": 1}, "--import trains 2 files, which count as trials: give --trials 2 or more"),
    ],
)
def test_options_that_do_not_go_with_imported_files_are_refused(options, sentence, tiny_data, tmp_path):
    with pytest.raises(OptionError, match=sentence):
        gamsearch.search(tiny_data, out=tmp_path, imports=["a.yaml", "b.yaml"], **options)
