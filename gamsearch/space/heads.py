"""Which heads can be searched, and why the others cannot. No torch."""

import re
from collections.abc import Mapping
from typing import Any

SEARCHED = frozenset({"Detect", "v10Detect", "RTDETRDecoder"})

TASKS = {
    "classification": ("Classify",),
    "instance segmentation": ("Segment", "Segment26"),
    "semantic segmentation": ("SemanticSegment",),
    "pose estimation": ("Pose", "Pose26"),
    "oriented boxes": ("OBB", "OBB26"),
    "depth estimation": ("Depth",),
}
"""What heads are for that find no plain boxes."""

REASONS = {
    **{head: f"is for {task}, and only detectors are searched" for task, heads in TASKS.items() for head in heads},
    **dict.fromkeys(
        ("WorldDetect", "YOLOEDetect", "YOLOESegment", "YOLOESegment26"),
        "reads the class names through a text model that must be downloaded",
    ),
}

OF_A_TASK = re.compile(r"-(seg|sem|pose|obb|depth|cls(-resnet\d+)?|worldv?\d?)(?=-|$)")


def why_not_searched(mapping: Mapping[str, Any]) -> str | None:
    """Explain why a model YAML cannot be searched.

    Args:
        mapping: The YAML.

    Returns:
        What follows its name in a sentence, or None if it can be searched.
    """
    row = mapping["head"][-1]
    head = row[2] if isinstance(row, list) and len(row) == 4 else None
    if not isinstance(head, str):
        return f"ends in {row}; the last row must be a detection head such as Detect"
    if head in REASONS:
        return f"ends in {head}, which {REASONS[head]}"
    if head not in SEARCHED and "detect" not in head.lower():
        return f"ends in {head}; the last row must be a detection head such as Detect"
    return None


def plain_name(name: str) -> str:
    """The name of a model without the part that says its task: `yolov8n` for `yolov8n-seg`."""
    return OF_A_TASK.sub("", name.replace("yoloe-", "yolo"))
