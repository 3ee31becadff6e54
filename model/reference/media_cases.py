"""The prompts of videos, of images with limits of their own, and the long one."""

from dataclasses import dataclass, field

from cases import IMAGE, assistant, text, user

VIDEO = {"type": "video"}


@dataclass(frozen=True)
class Limits:
    """What may be said of one image or video; `resized` is width and height."""

    min_pixels: int | None = None
    max_pixels: int | None = None
    resized: tuple[int, int] | None = None

    def keys(self) -> dict:
        """Return the keys of a message item that say the same to qwen-vl-utils."""
        result = {k: getattr(self, k) for k in ("min_pixels", "max_pixels") if getattr(self, k)}
        if self.resized:
            result |= {"resized_width": self.resized[0], "resized_height": self.resized[1]}
        return result

    def row(self) -> dict:
        """Return what is written into the table of cases."""
        result = {k: v for k, v in self.keys().items() if k.endswith("pixels")}
        return result | ({"resized": list(self.resized)} if self.resized else {})


@dataclass(frozen=True)
class Still:
    """An image: `pattern(width, height, seed)`."""

    width: int
    height: int
    seed: int
    limits: Limits = Limits()

    def row(self) -> dict:
        """Return what is written into the table of cases."""
        return {"size": [self.width, self.height], "seed": self.seed, **self.limits.row()}


@dataclass(frozen=True)
class Film:
    """A video: frame i is `pattern(width, height, seed + i)`; `fps` is that of these frames."""

    width: int
    height: int
    seed: int
    frames: int
    fps: float
    limits: Limits

    def row(self) -> dict:
        """Return what is written into the table of cases."""
        size = {"size": [self.width, self.height], "seed": self.seed}
        return {**size, "frames": self.frames, "fps": self.fps, **self.limits.row()}


@dataclass(frozen=True)
class MediaCase:
    """One prompt; the items `IMAGE` and `VIDEO` take the next still and the next film."""

    name: str
    messages: list
    stills: list[Still] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)


SMALL = Limits(min_pixels=3136, max_pixels=100_000)

LONG_TEXT = " ".join(
    f"Step {i}: the user opens menu {i * 37 % 101}, chooses Print and waits {i * i % 13} seconds."
    for i in range(48)
)

MEDIA_CASES = [
    # An odd number of frames, windows cut off at both edges, the usual rate.
    MediaCase(
        "video",
        [user(VIDEO, text("When does the dialog appear?"))],
        films=[Film(305, 250, 20, 5, 2.0, SMALL)],
    ),
    # An image before a video, of which a frame is sampled every 1⅓ seconds.
    MediaCase(
        "video_after_image",
        [user(IMAGE, text("Find this in "), VIDEO, text("At which second?"))],
        stills=[Still(90, 150, 30)],
        films=[Film(84, 112, 31, 8, 0.75, SMALL)],
    ),
    # Two videos at other rates in two turns, an image between them: pairs of frames share a time.
    MediaCase(
        "videos_and_image",
        [
            user(text("First:"), VIDEO, text("then "), IMAGE),
            assistant("The menu opens."),
            user(VIDEO, text("And here?")),
        ],
        stills=[Still(120, 64, 40, Limits(min_pixels=20_000))],
        films=[
            Film(70, 90, 41, 10, 7.058823529411764, SMALL),
            Film(640, 360, 51, 6, 1.98, Limits(min_pixels=3136, max_pixels=30_000)),
        ],
    ),
    # A size of its own, not a multiple of 28 px; two frames are one step of time.
    MediaCase(
        "video_resized",
        [user(text("Watch."), VIDEO)],
        films=[Film(200, 200, 60, 2, 0.5, Limits(resized=(130, 100)))],
    ),
    MediaCase(
        "images_in_one_message",
        [user(IMAGE, IMAGE, text(" and "), IMAGE, IMAGE, text("Which one is the largest?"))],
        stills=[
            Still(60, 50, 70, Limits(min_pixels=40_000)),
            Still(600, 420, 71, Limits(max_pixels=30_000)),
            Still(333, 111, 72, Limits(resized=(180, 215))),
            Still(100, 100, 73),
        ],
    ),
    MediaCase(
        "images_over_messages",
        [
            {"role": "system", "content": "You compare screens."},
            user(IMAGE, text("Remember this.")),
            assistant("Yes."),
            user(IMAGE, IMAGE, text("And these?")),
            assistant("Done."),
            user(text("Now: "), IMAGE),
        ],
        stills=[
            Still(1280, 720, 80, Limits(max_pixels=50_000)),
            Still(200, 300, 81, Limits(min_pixels=10_000, max_pixels=20_000)),
            Still(41, 97, 82, Limits(resized=(84, 84))),
            Still(224, 140, 83),
        ],
    ),
    # Longer than any pass a prompt is run in.
    MediaCase(
        "long",
        [user(text(LONG_TEXT), IMAGE, text("Which step is this?"))],
        stills=[Still(300, 200, 90)],
    ),
]

BATCHES = {
    "batch_text": ["text_only", "text_multi_turn", "short"],
    "batch_images": ["text_only", "single", "multi_turn", "tiny"],
}
"""Names of prompts of `cases.CASES` that run in one batch, shorter ones padded on the left;
`short` is `SHORT`."""

SHORT = [{"role": "user", "content": "Hi"}]

YARN = {"factor": 4.0, "original_max_position_embeddings": 64}
YARN_LIMIT = 250
"""As in the README of Qwen2.5-VL: four times the original limit is not quite what
`max_position_embeddings` says (there: 4 × 32768 and 128000)."""
