"""Adds the Pareto front of the recorded search to the site, so that the picture lies in one place only."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PICTURE = "results/bccd-yolov8n/pareto.png"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once; `assets/pareto.png` becomes a file of the site."""
    files.append(File.generated(config, "assets/pareto.png", abs_src_path=PICTURE))
    return files
