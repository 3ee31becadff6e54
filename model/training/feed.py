"""A background process that fills a queue with batches: synthetic windows, cached real renderings, text-only rows."""
import json
import multiprocessing as mp
import os
import random

import numpy as np
from PIL import Image

from codes import WordCodes
from labels import LabelSource
from packing import text_batch, visual_batch
from windows import finish, synthetic

SMALL = [(224, 112), (336, 112), (224, 224), (336, 224)]
MIDDLE = [(336, 224), (336, 336), (448, 224), (448, 336), (308, 252)]
LARGE = [(448, 336), (560, 336), (560, 420), (644, 476), (476, 364), (420, 308)]


class Renderings:
    """Folders of NNNN.png + index.jsonl made by render_chromium.py and render_gtk.py, grouped by resized size."""

    def __init__(self, folders):
        self.by_size = {}
        for d in folders:
            path = os.path.join(d, "index.jsonl")
            if not os.path.exists(path):
                continue
            for line in open(path):
                try:
                    s = json.loads(line)
                except ValueError:
                    continue
                s["path"] = os.path.join(d, s["file"])
                key = (max(1, round(s["width"] / 28)) * 28, max(1, round(s["height"] / 28)) * 28)
                self.by_size.setdefault(key, []).append(s)
        self.sizes = list(self.by_size)
        self.count = [len(v) for v in self.by_size.values()]

    def pick(self, r, size, n):
        out = []
        for s in r.choices(self.by_size[size], k=n):
            im = Image.open(s["path"]).convert("RGB")
            out.append(finish(im, [tuple(w) for w in s["words"]], s["widgets"], *size))
        return [s for s in out if s["widgets"]]


def worker(q, frac, o, rank):
    codes, n, real, seen = WordCodes(), 0, None, 0
    while True:
        seed = o["seed"] * 10 ** 8 + rank * 10 ** 7 + n
        r, n = random.Random(seed), n + 1
        if r.random() < o["text"]:
            q.put(("text", text_batch(r, o["text_rows"], o["text_q"], easy=o["easy"])))
            continue
        if o["real"] and (real is None or n % 300 == 0):                 # folders may still be growing
            real = Renderings(o["real"])
        f = frac.value
        sizes = SMALL if f < o["c1"] else SMALL + MIDDLE if f < o["c2"] else SMALL[2:] + MIDDLE + LARGE
        if real and real.sizes and r.random() < o["real_share"]:
            ok = [(s, c) for s, c in zip(real.sizes, real.count) if f >= o["c2"] or s[0] * s[1] <= 460 * 340] or list(zip(real.sizes, real.count))
            w, h = r.choices([s for s, _ in ok], [c for _, c in ok])[0]
            samples = real.pick(r, (w, h), max(1, round(o["px"] / w / h)))
            if not samples:
                continue
        else:
            w, h = r.choice(sizes)
            samples = [synthetic(r, w, h, LabelSource(r, o["unseen"])) for _ in range(max(1, round(o["px"] / w / h)))]
        try:
            q.put(("image", visual_batch(r, samples, codes, o["q"], o["unseen"])))
        except (IndexError, ValueError, AssertionError) as e:
            print("skipped a batch:", repr(e), flush=True)


def start(options, rank=0, depth=6):
    frac, q = mp.Value("d", 0.), mp.Queue(depth)
    mp.Process(target=worker, args=(q, frac, options, rank), daemon=True).start()
    return q, frac
