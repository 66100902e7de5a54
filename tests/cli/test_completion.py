"""The completion that bash is given completes commands, options and names."""

import shutil
import subprocess

import pytest

from gamsearch.cli.main import main


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    """What bash offers after some words, the last of which is not finished."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    file = tmp_path_factory.mktemp("completion") / "gamsearch"

    def offer(capsys, *words):
        assert main(["completion", "bash"]) == 0
        file.write_text(capsys.readouterr().out)
        call = f"source {file}; COMP_WORDS=(gamsearch {' '.join(words)}); COMP_CWORD={len(words)}; _shtab_gamsearch"
        done = subprocess.run(
            ["bash", "-c", f"{call}; echo ${{COMPREPLY[@]}}"], capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout.split()

    return offer


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["expl"], {"explain"}),
        (["run", "--base"], {"--baseline-epochs"}),
        (["run", "--space", "zoo"], {"zoo", "zoo-light"}),
        (["run", "--track", "ten"], {"tensorboard"}),
        (["list", "sa"], {"samplers"}),
        (["run", "--stopping", "agg"], {"aggressive"}),
        (["export", "--formats", "open"], {"openvino"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_bash_completes(completed, capsys, words, offered):
    assert set(completed(capsys, *words)) == offered


def test_an_unknown_shell_is_refused(capsys):
    assert main(["completion", "bahs"]) == 2
    assert "did you mean 'bash'" in capsys.readouterr().err
