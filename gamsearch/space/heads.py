"""Which heads can be searched, and why the others cannot. No torch."""

import re
from collections.abc import Mapping
from typing import Any

from gamsearch.tasks import TASKS

SEARCHED = frozenset(head for task in TASKS.values() for head in task.heads)
NAMED = "Detect, Segment, Pose, OBB or Classify"

OTHER_TASKS = {"semantic segmentation": ("SemanticSegment",), "depth estimation": ("Depth",)}
"""What heads are for that cannot be searched."""

REASONS = {
    **{
        head: f"is for {task}, and only {', '.join(one.noun for one in TASKS.values())} are searched"
        for task, heads in OTHER_TASKS.items()
        for head in heads
    },
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
        return f"ends in {row}; the last row must be a head such as {NAMED}"
    if head in REASONS:
        return f"ends in {head}, which {REASONS[head]}"
    if head not in SEARCHED and "detect" not in head.lower():
        return f"ends in {head}; the last row must be a head such as {NAMED}"
    if [row[2:3] for row in mapping["backbone"] if isinstance(row, list)] == [["TorchVision"]]:
        return "takes its backbone from TorchVision as one row, so there is no place for attention in it"
    return None


def plain_name(name: str) -> str:
    """The name of a model without the part that says its task: `yolov8n` for `yolov8n-seg`."""
    return OF_A_TASK.sub("", name.replace("yoloe-", "yolo"))
