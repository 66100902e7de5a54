"""Adds the Pareto fronts of the recorded searches to the site, so that each picture lies in one place only."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PICTURES = {
    "pareto": "bccd-yolov8n",
    "pcb-seed": "pcb-yolov8n-seed",
    "pcb-zoo-light": "pcb-yolo11n-zoo-light",
    "chess": "chess-yolo26n-detect-inputs",
    "chess-cls": "chess-yolov8n-cls",
    "pcb-imports": "pcb-yolov8n-imports",
    "pcb-inner": "pcb-yolov8n-inner",
    "pcb-seg": "pcb-yolov8n-seg",
    "pcb-obb": "pcb-yolov8n-obb",
    "corners-pose": "corners-yolov8n-pose",
}
"""Names of pictures of the site, and the runs whose fronts they are."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once; each picture becomes a file of the site in `assets`."""
    for name, run in PICTURES.items():
        files.append(File.generated(config, f"assets/{name}.png", abs_src_path=f"results/{run}/pareto.png"))
    return files
