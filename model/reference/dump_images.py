"""Goldens of the image processor: sizes, resized pixels, `pixel_values`."""

import hashlib
import math

import numpy as np
from PIL import Image
from transformers import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

import cases
from build_checkpoint import MAX_PIXELS, MEAN, MIN_PIXELS, STD
from pattern import pattern

FACTOR = 28

SIZES = [
    (1920, 1080), (2560, 1440), (3840, 2160), (5120, 2880), (7680, 4320), (1366, 768), (1280, 720),
    (1080, 2400), (720, 1280), (1440, 900), (1470, 956), (854, 480), (640, 480), (800, 600),
    (1024, 768), (100, 100), (56, 56), (57, 55), (42, 42), (70, 70), (28, 28), (29, 41), (14, 14),
    (1, 1), (13, 400), (1000, 10), (200, 1), (1, 200), (5600, 28), (28, 5600), (201, 1), (5629, 28),
    (0, 10),
]
"""Width and height: screens, ties of the rounding, the smallest, the longest, the refused."""

LIMITS = [
    (3136, 12_845_056),
    (3136, 1280 * 784),
    (256 * 784, 1280 * 784),
    (4 * 784, 6 * 784),
]
"""Smallest and largest number of pixels."""

RESIZES = [
    ((100, 60), (112, 56)), ((61, 45), (56, 56)), ((200, 130), (112, 84)), ((56, 56), (56, 56)),
    ((1, 1), (56, 56)), ((2, 3), (84, 28)), ((200, 1), (812, 28)), ((1, 200), (28, 812)),
    ((1470, 956), (1456, 952)), ((854, 480), (840, 476)), ((1470, 956), (588, 364)),
    ((285, 190), (280, 196)), ((97, 89), (308, 280)), ((640, 480), (28, 28)), ((56, 112), (56, 84)),
    ((112, 56), (84, 56)),
]
"""Source and target sizes: up, down, one axis only, far down, unchanged, odd."""

STRIDE = 101
"""Every how many values a large array is sampled; prime, so that it meets every column."""


def later_smart_resize(height: int, width: int, low: int, high: int) -> tuple[int, int]:
    """Return the size as transformers computes it since sides under 28 px are allowed.

    4.49.0 refuses those; where it does not refuse, `check_smart_resize` holds
    this function to it.
    """
    if min(height, width) < 1 or max(height, width) / min(height, width) > 200:
        raise ValueError("absolute aspect ratio must be smaller than 200")
    rows = round(height / FACTOR) * FACTOR
    columns = round(width / FACTOR) * FACTOR
    if rows * columns > high:
        beta = math.sqrt(height * width / high)
        rows = max(FACTOR, math.floor(height / beta / FACTOR) * FACTOR)
        columns = max(FACTOR, math.floor(width / beta / FACTOR) * FACTOR)
    elif rows * columns < low:
        beta = math.sqrt(low / (height * width))
        rows = math.ceil(height * beta / FACTOR) * FACTOR
        columns = math.ceil(width * beta / FACTOR) * FACTOR
    return rows, columns


def size_or_none(function, *arguments) -> list[int] | None:
    """Return `[width, height]`, or None if the function refuses."""
    try:
        height, width = function(*arguments)
    except ValueError:
        return None
    return [width, height]


def smart_resize_table() -> list[dict]:
    """Return the table of sizes; `resized` is null where the input is refused."""
    table = []
    for low, high in LIMITS:
        for width, height in SIZES:
            later = size_or_none(later_smart_resize, height, width, low, high)
            pinned = None
            if min(width, height) >= FACTOR:
                pinned = size_or_none(smart_resize, height, width, FACTOR, low, high)
                # The pinned release has no floor of one patch when it shrinks.
                assert pinned == later or 0 in pinned, (width, height, pinned, later)
            table.append(
                {
                    "size": [width, height],
                    "min_pixels": low,
                    "max_pixels": high,
                    "resized": later,
                    "pinned_release_agrees": pinned == later and pinned is not None,
                }
            )
    return table


def resize_table() -> list[dict]:
    """Return hashes and samples of Pillow's bicubic resize of `pattern`."""
    table = []
    for source, target in RESIZES:
        image = pattern(*source).resize(target, Image.Resampling.BICUBIC)
        data = np.asarray(image).reshape(-1)
        table.append(
            {
                "source": list(source),
                "target": list(target),
                "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
                "sum": int(data.sum(dtype=np.int64)),
                "stride": STRIDE,
                "sample": data[::STRIDE][:400].tolist(),
            }
        )
    return table


def image_processor(variant: str) -> Qwen2VLImageProcessor:
    """Return the slow (Pillow) image processor with a variant's limits."""
    return Qwen2VLImageProcessor(
        min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS[variant], image_mean=MEAN, image_std=STD
    )


def pixel_values() -> dict[str, np.ndarray]:
    """Return `pixel_values` of the cases' pictures, whole for the smallest.

    Of the others: `sample` holds every 101st value, `row_sums` one sum per
    patch and `column_sums` one per place in a patch, both summed in f64.
    """
    result = {}
    processor = image_processor("flat")
    for case in cases.CASES:
        for index, picture in enumerate(case.pictures):
            image = pattern(picture.width, picture.height, picture.seed)
            output = processor(images=[image], return_tensors="np")
            values = output["pixel_values"].astype(np.float32)
            name = f"{case.name}.{index}"
            result[f"{name}.source"] = np.array([picture.width, picture.height, picture.seed], np.int64)
            result[f"{name}.grid"] = output["image_grid_thw"].reshape(3).astype(np.int64)
            if case.name == "tiny":
                result[f"{name}.values"] = values
            result[f"{name}.sample"] = values.reshape(-1)[::STRIDE][:2000].copy()
            result[f"{name}.row_sums"] = values.sum(1, dtype=np.float64).astype(np.float32)
            result[f"{name}.column_sums"] = values.sum(0, dtype=np.float64).astype(np.float32)
    return result
