"""Test pictures made from a formula, so that none has to be committed.

`tests/support/golden.rs` holds the same formula; the two must agree.
"""

import numpy as np
from PIL import Image


def pattern(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture of gradients and steps; `seed` shifts every channel."""
    x = np.arange(width)[None, :]
    y = np.arange(height)[:, None]
    red = 7 * x + 3 * y + 31 * seed
    green = 5 * x + 11 * y + 57 * seed
    blue = 40 * (x // 5 + y // 3) + 83 * seed
    pixels = np.stack(np.broadcast_arrays(red, green, blue), axis=-1) % 256
    return Image.fromarray(pixels.astype(np.uint8), "RGB")
