"""The fixture that writes a small space file."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def write(tmp_path: Path):
    """Write a space file from keys over a small valid one; a key set to None is left out."""

    def written(**keys: object) -> Path:
        form = {"detector": "yolov8n", "sites": [4, 6], "attention": {"GAM": {"rate": [4, 16]}}, **keys}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in form.items() if v is not None}))
        return path

    return written
