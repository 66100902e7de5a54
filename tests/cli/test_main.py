"""Bad input: one sentence on standard error, exit code 2, nothing lost. And the commands that only tell."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from gamsearch.cli.inspect import LISTS
from gamsearch.cli.main import COMMANDS, main, parser
from gamsearch.metrics import metric_named
from gamsearch.space.search_space import SearchSpace, shipped_spaces
from gamsearch.study import store


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *words: str) -> str:
    """Run a command that must be refused; return its one sentence."""
    assert main(list(words)) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("gamsearch: "), captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


def copy_of(data: Path, here: Path) -> Path:
    shutil.copytree(data.parent, here / "data")
    return here / "data" / data.name


def test_a_missing_data_file(here, capsys):
    assert "nowhere.yaml" in refused(capsys, "run", "--data", "nowhere.yaml")


def test_a_stock_data_set_that_would_have_to_be_downloaded(here, capsys):
    assert "coco8.yaml" in refused(capsys, "run", "--data", "coco8.yaml")


def test_a_data_yaml_without_names(here, capsys, tiny_data):
    path = copy_of(tiny_data, here)
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("names"))
    path.write_text("\n".join(lines[:start]))
    assert "names" in refused(capsys, "run", "--data", str(path))


def test_an_empty_label_folder(here, capsys, tiny_data):
    path = copy_of(tiny_data, here)
    for label in path.parent.rglob("*.txt"):
        label.unlink()
    assert "label" in refused(capsys, "run", "--data", str(path))


def space_file(here: Path, text: str) -> str:
    (here / "space.yaml").write_text("detector: yolov8n\n" + text)
    return "space.yaml"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sites: stages\nattention: {GAN: {rate: 4}}\n", "did you mean 'GAM'"),
        ("sites: [22]\nattention: {GAM: {rate: 4}}\n", "site 22 is Detect, which nothing can follow"),
        ("sites: [2]\nattention: {GAM: {rate: 64}}\n", "rate"),
        ("sites: stages\nattention: {GAM: {rate: 4}}\nlimit: {params_m: 1}\n", "did you mean 'limits'"),
        ("sites: stages\nattention: {GAM: {rate: 4}}\nrules: {max_modules: 0}\n", "max_modules"),
        ("sites: stages\nattention: {GAM: {rate: 4}}\nlimits: {map50: 1}\n", "map50"),
        ("sites: [\n", "space.yaml"),
    ],
)
def test_a_space_file_that_cannot_be(here, capsys, tiny_data, text, sentence):
    path = space_file(here, text)
    assert sentence in refused(capsys, "show", path)
    assert sentence in refused(capsys, "run", "--data", str(tiny_data), "--space", path)


def test_a_corrupt_checkpoint(here, capsys, tiny_data):
    (here / "broken.pt").write_bytes(b"PK\x03\x04 this is no checkpoint")
    assert "broken.pt" in refused(capsys, "run", "--data", str(tiny_data), "--model", "broken.pt")


def test_a_checkpoint_of_other_classes_cannot_be_taken_as_it_is(here, capsys, tiny_data):
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model, write_checkpoint

    write_checkpoint(start_model(Detector.load("yolov8n"), None, {0: "a", 1: "b"}, 0), here / "two.pt", {})
    words = ["--model", "two.pt", "--baseline-epochs", "0"]
    assert "knows 2 classes and the data has 3" in refused(capsys, "run", "--data", str(tiny_data), *words)


def test_a_checkpoint_that_is_not_there_says_what_to_do(here, capsys, tiny_data):
    sentence = refused(capsys, "run", "--data", str(tiny_data), "--model", "my-weights.pt")
    assert "my-weights.pt does not exist" in sentence and "from scratch" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model", "yolov8q.yaml"], "yolov8q"),
        (["--space", "gamm"], "gamm"),
        (["--device", "7"], "--device"),
        (["--device", "0,1"], "PyTorch sees no cuda device"),
        (["--device", "1,1"], "must be distinct indices"),
        (["--device", "0,1", "--workers", "2"], "give one of them"),
        (["--workers", "0"], "--workers must be between 1 and 256"),
        (["--storage", "here"], "--storage must be the URL"),
        (["--storage", "grpc://localhost"], "must name host and port"),
        (["--storage", "postgresql://me:secret@localhost:1/none"], "postgresql://me:***@localhost:1/none"),
        (["--artifacts", "s3://A"], "must be a folder or a bucket"),
        (["--imgsz", "100"], "use 96"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--trials", "-3"], "--trials must be at least 1"),
        (["--sampler", "bayes"], "there is no sampler 'bayes'"),
        (["--objectives", "map50_95,speed"], "speed"),
        (["--latency", "stopwatch"], "there is no latency backend 'stopwatch'"),
        (["--evaluator", "magic"], "there is no evaluator 'magic'"),
        (["--evaluator", "replay", "--table", "none.json"], "--table takes a path or one of"),
        (["--evaluator", "replay", "--epochs", "900"], "so --epochs cannot be 900"),
        (["--budget", "3 days"], "such as 3h"),
        (["--budget", "3h", "--trials", "3"], "give one of them"),
        (["--stopping", "of"], "did you mean 'off'"),
        (["--train", "lr_0=0.1"], "did you mean 'lr0'"),
        (["--train", "lr0"], "key=value"),
        (["--train", "lr0=fast"], "lr0"),
        (["--train", "epochs=3"], "use --epochs"),
        (["--train", "freeze=10"], "every candidate would freeze other layers"),
        (["--name", "../elsewhere"], "--name"),
        (["--model", "yolov8n.yaml", "--baseline-epochs", "0"], "--baseline-epochs 0 needs trained weights"),
    ],
)
def test_an_option_that_cannot_be(here, capsys, monkeypatch, tiny_data, words, sentence):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # what a command adds to the environment ends with the test
    assert sentence in refused(capsys, "run", "--data", str(tiny_data), *words)
    assert not list(here.rglob(store.JOURNAL))


def test_a_results_folder_that_cannot_be_written(here, capsys, tiny_data):
    (here / "results").write_text("a file, not a folder")
    assert "results" in refused(capsys, "run", "--data", str(tiny_data))


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_that_holds_no_run(here, capsys, command):
    (here / "empty").mkdir()
    assert "holds no run" in refused(capsys, command, "empty")


def test_a_record_of_another_form_is_refused_and_left_as_it_is(here, capsys):
    (here / "old").mkdir()
    study = store.create(here / "old", [metric_named("map50_95"), metric_named("latency_ms")], {})
    study.set_user_attr("schema", 0)
    before = (here / "old" / store.JOURNAL).read_bytes()
    assert "schema 0" in refused(capsys, "report", "old")
    assert (here / "old" / store.JOURNAL).read_bytes() == before


def test_a_record_that_is_not_one_is_refused_and_left_as_it_is(here, capsys):
    (here / "broken").mkdir()
    (here / "broken" / store.JOURNAL).write_text("not a journal\n")
    assert "study.journal" in refused(capsys, "report", "broken")
    assert (here / "broken" / store.JOURNAL).read_text() == "not a journal\n"


def test_without_a_command_the_overview_is_printed(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(command.name in shown and command.summary[:20] in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command_has_two_examples_and_says_every_default(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        main([command.name, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert len(command.examples) == 2
    assert all(f"python -m gamsearch {command.name} {example}".strip() in shown for example in command.examples)
    own = parser().commands[command.name]
    for action in own._actions:
        if action.option_strings and not action.required and action.option_strings[0] not in NO_DEFAULT:
            assert "(default: " in (action.help or ""), f"{action.option_strings} says no default"


NO_DEFAULT = ("-h", "--budget", "--train", "--from", "--study", "--trial")
"""Options that have no effect unless they are given."""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "unknown command 'rnu' (did you mean 'run'?)"),
        (["run", "--epoch", "3"], "unknown option '--epoch' (did you mean '--epochs'?)"),
        (["verify", "results/a", "--seed=3"], "unknown option '--seed' (did you mean '--seeds'?)"),
        (["run", "--epochs", "three"], "argument --epochs: invalid int value: 'three'"),
        (["report"], "the following arguments are required: folder"),
    ],
)
def test_a_misspelt_command_or_option_is_one_sentence_with_a_suggestion(here, capsys, words, sentence):
    assert sentence in refused(capsys, *words)


@pytest.mark.parametrize("what", sorted(LISTS))
def test_list_prints_something_for_every_kind(capsys, what):
    assert main(["list", what]) == 0
    assert capsys.readouterr().out.strip()


def test_list_of_something_else_names_the_kinds(capsys):
    assert "samplers" in refused(capsys, "list", "sampler")


@pytest.mark.parametrize("space", shipped_spaces())
def test_show_describes_every_shipped_space_without_torch(capsys, space):
    assert main(["show", space]) == 0
    shown = capsys.readouterr().out
    assert "architectures" in shown and re.search(r"^sampled: \w+@\d+", shown, re.MULTILINE)
    for module in SearchSpace.load(space).modules:
        assert f"\n{module.name}: {module.spec.title}" in shown and "; starts as the identity" in shown


def test_show_for_another_scale(capsys):
    assert main(["show", "gam", "--model", "yolov8x"]) == 0
    assert "yolov8x" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("show", "gam"), ("list", "metrics"), ("--help",)])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(command):
    process = subprocess.Popen(
        [sys.executable, "-m", "gamsearch", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    process.stdout.close()
    assert process.wait(60) in (0, 141)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_list_without_a_word_names_its_choices(capsys):
    assert main(["list"]) == 2
    assert "attention, detectors" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1", "x"])
def test_a_wait_that_is_no_number_of_minutes_is_refused(here, capsys, minutes):
    assert "--wait" in refused(capsys, "worker", "results/a", "--wait", minutes)


def test_a_folder_with_control_characters_is_refused(here, capsys):
    assert "control characters" in refused(capsys, "run", "--evaluator", "replay", "--out", "a\x1b[31mb")
    assert not list(here.iterdir())


def test_explain_names_the_attention_in_model_yamls_and_finds_their_base(capsys):
    examples = ROOT / "examples" / "import"
    assert main(["explain", str(examples / "yolov8-gam.yaml"), str(examples / "yolov8n-p2-ca.yaml")]) == 0
    said = capsys.readouterr().out
    assert "yolov8-gam.yaml: yolov8n with" in said and "yolov8n-p2-ca.yaml: yolov8n-p2 with" in said
    assert re.search(r"12\s+GAM\s+g4 padding=zeros r4 shuffle=True\s+13", said)
    assert main(["explain", str(examples / "yolov8n-p2-ca.yaml"), "--model", "yolov8n"]) == 2
    assert "its base is yolov8n-p2, not yolov8n: give --model yolov8n-p2.yaml" in capsys.readouterr().err
