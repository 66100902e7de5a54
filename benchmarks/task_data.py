"""Data sets for the other tasks, made from data sets of detection, or drawn.

    python benchmarks/task_data.py segment shared/data/pcb --out pcb-seg
    python benchmarks/task_data.py obb shared/data/pcb --out pcb-obb
    python benchmarks/task_data.py classify shared/data/chess --out chess-cls
    python benchmarks/task_data.py pose --out corners

segment    the outline of what is inside each box: the largest region that Otsu's threshold separates there
obb        the smallest rectangle around that outline
classify   what is inside each box, with a fifth of its size around it, as a square of 64 px; at most 120 of a class
pose       drawn: quadrilaterals on a noisy background; the four corners, from a red one clockwise, are the key points
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

LARGEST_CLASS, CROP, DRAWN = 120, 64, (300, 100)
SIDE = 128

Box = tuple[int, np.ndarray]


def boxes_of(image: Path, size: tuple[int, int]) -> Iterator[Box]:
    """Class and corners (x1, y1, x2, y2 in px) of each label of an image of `(height, width)`."""
    label = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
    for line in label.read_text().splitlines() if label.exists() else ():
        number, x, y, w, h = (float(value) for value in line.split())
        corners = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * np.array([size[1], size[0]] * 2)
        yield int(number), corners


def outline(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The outline of the largest region in a box (`n x 2`, px); the box where there is none."""
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0)
    part = (
        cv2.cvtColor(picture[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY) if x2 > x1 and y2 > y1 else np.zeros((1, 1), np.uint8)
    )
    border = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    _, mask = cv2.threshold(part, 0, 255, cv2.THRESH_OTSU)
    inside = mask if np.median(border) < 128 else 255 - mask
    found, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(found, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < 0.05 * part.size:
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=float)
    return largest[:, 0].astype(float) + (x1, y1)


def shaped(task: str, source: Path, out: Path) -> None:
    """Write outlines or oriented boxes instead of boxes."""
    content = yaml.safe_load(next(source.glob("*.yaml")).read_text())
    for split in ("train", "val"):
        for image in sorted((source / "images" / split).iterdir()):
            picture, rows = cv2.imread(str(image)), []
            size = picture.shape[:2]
            for number, box in boxes_of(image, size):
                points = outline(picture, box)
                if task == "obb":
                    points = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32)))
                near = (points / (size[1], size[0])).clip(0, 1)
                rows.append(" ".join([str(number), *(f"{value:.5f}" for value in near.flatten())]))
            save(out, split, image.stem, picture, rows)
    write_yaml(out, {"names": content["names"]})


def cropped(source: Path, out: Path) -> None:
    """Write what is inside each box into a folder of its class."""
    names = yaml.safe_load(next(source.glob("*.yaml")).read_text())["names"]
    for split in ("train", "val"):
        counts: Counter[str] = Counter()
        for image in sorted((source / "images" / split).iterdir()):
            picture = cv2.imread(str(image))
            for number, (x1, y1, x2, y2) in boxes_of(image, picture.shape[:2]):
                name, half = names[number], 0.6 * max(x2 - x1, y2 - y1)
                counts[name] += 1
                if counts[name] > LARGEST_CLASS:
                    continue
                middle = ((x1 + x2) / 2, (y1 + y2) / 2)
                part = cv2.getRectSubPix(picture, (int(2 * half) + 1,) * 2, middle)
                place = out / split / name
                place.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place / f"{counts[name]}.png"), cv2.resize(part, (CROP, CROP)))
    for rare in [place for place in (out / "train").iterdir() if not (out / "val" / place.name).exists()]:
        for file in rare.iterdir():
            file.unlink()
        rare.rmdir()


def drawn(out: Path) -> None:
    """Draw quadrilaterals with a red corner."""
    rng = random.Random(0)
    for split, count in zip(("train", "val"), DRAWN, strict=True):
        for number in range(count):
            noise = np.random.default_rng((number, split == "val"))
            picture, rows = noise.integers(60, 140, (SIDE, SIDE, 3), dtype=np.uint8), []
            for _ in range(rng.randint(1, 3)):
                middle, radius = np.array([rng.uniform(25, SIDE - 25), rng.uniform(25, SIDE - 25)]), rng.uniform(12, 24)
                angles = (
                    rng.uniform(0, 6.28) + np.arange(4) * 1.57 + np.array([rng.uniform(-0.3, 0.3) for _ in range(4)])
                )
                points = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
                cv2.fillPoly(picture, [points.astype(np.int32)], (210, 200, 60))
                cv2.circle(picture, tuple(map(int, points[0])), 3, (40, 40, 220), -1)
                low, high = points.min(0) / SIDE, points.max(0) / SIDE
                box = [*((low + high) / 2), *(high - low)]
                seen = [value for point in points / SIDE for value in (*point, 2)]
                rows.append(" ".join(["0", *(f"{value:.5f}" for value in (*box, *seen))]))
            save(out, split, str(number), picture, rows)
    write_yaml(out, {"names": {0: "quadrilateral"}, "kpt_shape": [4, 3], "flip_idx": [0, 3, 2, 1]})


def save(out: Path, split: str, name: str, picture: np.ndarray, rows: list[str]) -> None:
    """Write an image with its labels."""
    for kind in ("images", "labels"):
        (out / kind / split).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / "images" / split / f"{name}.png"), picture)
    (out / "labels" / split / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))


def write_yaml(out: Path, content: dict[str, Any]) -> None:
    """Write the data YAML."""
    places = {"train": "images/train", "val": "images/val"}
    (out / "data.yaml").write_text(yaml.safe_dump({**places, **content}, sort_keys=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["segment", "obb", "classify", "pose"])
    parser.add_argument("source", type=Path, nargs="?", help="folder of a data set of detection")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.task == "pose":
        drawn(options.out)
    elif options.source is None:
        parser.error(f"{options.task} needs the folder of a data set of detection")
    elif options.task == "classify":
        cropped(options.source, options.out)
    else:
        shaped(options.task, options.source, options.out)


if __name__ == "__main__":
    main()
