"""An array of pixels that needs no numpy."""


class Pixels:
    """As much of an array as a screenshot needs."""

    def __init__(self, width, height, rgb=None, dtype="uint8"):
        self.shape, self.dtype = (height, width, 3), dtype
        self._rgb = bytes(width * height * 3) if rgb is None else rgb

    def __getitem__(self, _):
        return self

    def tobytes(self):
        return self._rgb
