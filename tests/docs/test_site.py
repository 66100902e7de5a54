"""The README and the documentation: short enough, buildable, and true as far as a test can tell."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

from gamsearch.cli.main import parser
from gamsearch.space.search_space import SearchSpace

README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
EXTEND = sorted((ROOT / "docs" / "extend").glob("*.md"))
TITLED = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```', re.S | re.M)
LONGEST_README, MOST_WORDS = 120, 900


def commands(text: str) -> list[str]:
    """The gamsearch commands in the code blocks of a page."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.S | re.M)
    joined = [block.replace("\\\n", " ") for block in blocks]
    lines = [line.split("#")[0].strip() for block in joined for line in block.splitlines()]
    return [line for line in lines if line.startswith("python -m gamsearch ")]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "NO_MKDOCS_2_WARNING": "1"}


def test_the_readme_is_one_screen():
    text = README.read_text()
    assert len(text.splitlines()) <= LONGEST_README and len(text.split()) <= MOST_WORDS


def test_the_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text())
    missing = [target for target in targets if "://" not in target and not (ROOT / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_on_a_page_can_be_parsed(page):
    for command in commands(page.read_text()):
        words = shlex.split(command)[3:]
        if "$STUDY" not in command and words != ["--version"]:
            parser().parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_python_block_on_a_page_is_python(page):
    for block in re.findall(r"^```python[^\n]*\n(.*?)^```", page.read_text(), re.S | re.M):
        compile(block, str(page), "exec")


@pytest.mark.parametrize(
    ("page", "printed"), [("guide/python.md", "baseline"), ("explain/identity-and-inheritance.md", "2 0.00")]
)
def test_the_python_on_a_page_runs_and_prints_what_the_page_says(page, printed, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.S | re.M)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and printed in done.stdout, done.stderr


@pytest.mark.parametrize("page", EXTEND, ids=lambda path: path.stem)
def test_the_worked_example_of_an_extension_runs_and_passes_its_checks(page, tmp_path):
    files = dict(TITLED.findall(page.read_text()))
    assert files, "the page has no example"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tests = [name for name in files if name.startswith("test_")]
    if tests:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *tests],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    if "my-space.yaml" in files:
        shown = subprocess.run(
            [sys.executable, "-m", "gamsearch", "show", "my-space.yaml"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert shown.returncode == 0 and "architectures" in shown.stdout, shown.stderr


def test_the_space_files_on_the_pages_can_be_loaded(tmp_path):
    for page in (ROOT / "docs/guide/search-space.md", ROOT / "docs/reference/space-file.md"):
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.S | re.M):
            assert isinstance(yaml.safe_load(block), dict)
            (tmp_path / "space.yaml").write_text(block)
            assert SearchSpace.load(tmp_path / "space.yaml").size > 1


def test_the_site_builds_without_a_warning_and_has_the_whole_command_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "assets" / "pareto.png").is_file()
    page = (tmp_path / "site" / "reference" / "cli" / "index.html").read_text()
    for name, below in parser().commands.items():
        assert f'id="{name}"' in page
        assert all(flag in page for action in below._actions for flag in action.option_strings if flag != "-h")
    remote = re.findall(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', page)
    assert not remote, f"the page loads {remote} from the network"
