"""Small drawn data sets for each task, and small models that learn them: coloured quadrilaterals on grey."""

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ["red", "blue"]
COLOURS = [(220, 40, 40), (40, 60, 220)]
BACKBONE = [
    [-1, 1, "Conv", [8, 3, 2]],
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "C2f", [16, True]],
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "C2f", [32, True]],
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "C2f", [32, True]],
]
HEADS = {
    "segment": [[4, 6], 1, "Segment", ["nc", 8, 16]],
    "pose": [[4, 6], 1, "Pose", ["nc", "kpt_shape"]],
    "obb": [[4, 6], 1, "OBB", ["nc", 1]],
    "classify": [-1, 1, "Classify", ["nc"]],
}
TASKS = tuple(HEADS)


def model_yaml(task: str) -> dict:
    """A model of some thousand parameters; its blocks are rows 2, 4 and 6."""
    points = {"kpt_shape": [17, 3]} if task == "pose" else {}  # not that of the data, which is [4, 3]
    return {"nc": 2, **points, "backbone": BACKBONE, "head": [HEADS[task]]}


def make_data(task: str, folder: Path, train: int = 12, val: int = 6, side: int = 64) -> Path:
    """Draw a data set: the data YAML; the folder for classification."""
    stream = random.Random(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            _draw(task, folder, split, number, side, stream)
    if task == "classify":
        return folder
    points = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n" if task == "pose" else ""
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: {NAMES}\n{points}")
    return yaml


def _draw(task: str, folder: Path, split: str, number: int, side: int, stream: random.Random) -> None:
    image = Image.new("RGB", (side, side), (120, 120, 120))
    rows = []
    for place in (0.3, 0.7) if task != "classify" else (0.5,):
        kind = number % 2 if task == "classify" else stream.randrange(2)
        corners = _corners(place, stream.uniform(0.35, 0.65), stream)
        ImageDraw.Draw(image).polygon([tuple(corner * side) for corner in corners], fill=COLOURS[kind])
        rows.append(" ".join(map(str, [kind, *_label(task, corners)])))
    if task == "classify":
        place = folder / split / NAMES[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{number}.png")
        return
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    image.save(folder / "images" / split / f"{number}.png")
    (folder / "labels" / split / f"{number}.txt").write_text("\n".join(rows) + "\n")


def _corners(x: float, y: float, stream: random.Random) -> np.ndarray:
    """The corners of a turned rectangle, as fractions of the image."""
    angle, width, height = stream.uniform(-0.6, 0.6), stream.uniform(0.2, 0.3), stream.uniform(0.25, 0.35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    return np.clip(upright @ turn.T + [x, y], 0.01, 0.99)


def _label(task: str, corners: np.ndarray) -> list[float]:
    flat = [round(float(value), 5) for value in corners.ravel()]
    if task in ("segment", "obb"):
        return flat
    low, high = corners.min(0), corners.max(0)
    box = [round(float(value), 5) for value in (*((low + high) / 2), *(high - low))]
    points = [value for pair in zip(flat[::2], flat[1::2], strict=True) for value in (*pair, 2)]
    return [*box, *points]
