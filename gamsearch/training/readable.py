"""Which images Ultralytics' scan would leave out, and broken JPEGs restored in memory; no file is written. No torch.

Ultralytics rewrites a JPEG that lacks its end marker in place (`check_image`). Here the same bytes are made in memory
whenever such an image is read, so the user's file stays as it is and training sees the same pixels.
"""

import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gamsearch.errors import one_line
from gamsearch.training.images import IMAGE_SUFFIXES

SMALLEST_SIDE = 10
"""Pixels; Ultralytics leaves out smaller images."""
FORMATS = {*IMAGE_SUFFIXES, "jpeg2000"}
CHECKED_WHOLE = ("JPEG", "MPO", "PNG")
"""Formats whose `verify` by Pillow, with the end marker of a JPEG, says whether they decode."""
START, END = b"\xff\xd8", b"\xff\xd9"


def unreadable(images: Sequence[Path]) -> dict[Path, str]:
    """Open every image.

    Args:
        images: Image files.

    Returns:
        The images that Ultralytics would leave out or fail on, each with the reason.
    """
    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        return {image: reason for image, reason in zip(images, pool.map(problem, images), strict=True) if reason}


def problem(image: str | Path) -> str:
    """Say why an image cannot be used.

    Args:
        image: An image file.

    Returns:
        The reason, or an empty string if the image can be read.
    """
    try:
        found = os.stat(image)
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(found.st_mode):
        return "not a file"
    return _problem(str(image), found.st_size, found.st_mtime_ns)


def training_size(image: Path) -> int:
    """Size of an image as Ultralytics would leave it, so that `yolo train` on the same data changes no fingerprint.

    Args:
        image: An image file.

    Returns:
        Bytes: of the file, or of its restored form where it is a JPEG without end marker.

    Raises:
        OSError: There is no such file.
    """
    found = image.stat()
    return _training_size(str(image), found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else 0


@cache
def _training_size(image: str, size: int, modified_ns: int) -> int:
    try:
        return len(_restored(image)) if is_unterminated(image) else size
    except Exception:  # pixels are missing: Ultralytics leaves such a file alone
        return size


@cache
def _problem(image: str, size: int, modified_ns: int) -> str:
    """Check a file once per process, unless its size (bytes) or time of modification changes."""
    if not size:
        return "the file is empty"
    try:
        with _open(image) as opened:
            opened.verify()
        if min(opened.size) < SMALLEST_SIDE:
            return f"{opened.width} x {opened.height} px, less than {SMALLEST_SIDE}"
        if str(opened.format).lower() not in FORMATS:
            return f"a {opened.format} file"
        if is_unterminated(image):
            _restored(image)
        elif opened.format not in CHECKED_WHOLE:
            _decode(image)
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        return one_line(str(error).replace(image, Path(image).name))[:200] or type(error).__name__
    return ""


def _open(image: str) -> Image.Image:
    if image.lower().endswith((".heic", ".heif")):
        with suppress(ImportError):
            from pi_heif import register_heif_opener

            register_heif_opener()
    patches = sys.modules.get("ultralytics.utils.patches")  # its `Image.open` installs packages for unknown formats
    return getattr(patches, "_image_open", Image.open)(image)


def _decode(image: str) -> None:
    """Decode an image with OpenCV as a training does, else with Pillow; raise if neither can."""
    import cv2

    if cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_UNCHANGED) is None:
        with _open(image) as opened:
            opened.load()


def is_unterminated(image: str | Path) -> bool:
    """Whether a file is a JPEG without end marker, which Ultralytics would rewrite.

    Args:
        image: An image file.

    Returns:
        True also where bytes follow the end marker.
    """
    with open(image, "rb") as file:
        if file.read(2) != START:
            return False
        file.seek(-2, os.SEEK_END)
        if file.read() == END:
            return False
    with _open(str(image)) as opened:
        return str(opened.format).lower() in ("jpg", "jpeg")


def _restored(image: str) -> bytes:
    """The bytes with which Ultralytics would replace an unterminated JPEG; Pillow's error if pixels are missing."""
    with _open(image) as opened:
        content = io.BytesIO()
        ImageOps.exif_transpose(opened).save(content, "JPEG", subsampling=0, quality=100)
    return content.getvalue()


@contextmanager
def readable_copy(image: str) -> Iterator[str]:
    """Where an image can be read as Ultralytics would leave it.

    Args:
        image: An image file.

    Yields:
        The image's own path, or that of a restored copy in a temporary folder.
    """
    if not is_unterminated(image):
        yield image
        return
    with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder:
        copy = Path(folder) / Path(image).name
        copy.write_bytes(_restored(image))
        yield str(copy)
