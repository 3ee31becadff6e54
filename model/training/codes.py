"""What a visual token should say: the training target of the vision tower and the input of the language model's first
training on oracle tokens.

code(cell) = sum of its words' (frozen) embeddings + a code for the kind of widget + the offset to the click point.

* Word codes are compositional (letters, letter pairs, length) plus a private random part for vocabulary words, so an
  unseen word still has a code that can be read from its letters and composed from its bytes.
* Offsets live in 12 dimensions of their own, orthogonal to every word and kind code.
* `box` and `combobox` mark the cells of an entry's or a combo box's own rectangle. Which label belongs to it is not in
  the code: the language model links box cells to label cells (see objectives.py).
"""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from vocabulary import NWORDS, WORDS

KINDS = ["none", "button", "field", "combo", "check", "radio", "link", "tab", "menu", "item", "box", "combobox"]
BOX, COMBOBOX = KINDS.index("box"), KINDS.index("combobox")
NORM, PRIVATE, NOFF = 4.15, .5, 12


class WordCodes:
    """Deterministic code of any word; vocabulary words have a private random part as well."""

    def __init__(self, d=192, seed=11):
        self.d, self.g, self.vec = d, torch.Generator().manual_seed(seed), {}
        rows = torch.stack([self._raw(w) for w in WORDS])
        self.mean = rows.mean(0)
        private = F.normalize(torch.randn(rows.shape, generator=self.g), dim=1)
        q, _ = torch.linalg.qr(torch.randn(d, NOFF, generator=torch.Generator().manual_seed(5)))
        self.off = q.t().contiguous()                                    # orthonormal offset subspace [12, d]
        table = F.normalize(F.normalize(rows - self.mean, dim=1) + PRIVATE * private, dim=1)
        self.table = F.normalize(self.clear(table), dim=1) * NORM
        self.cache = {}

    def clear(self, x):
        """x without its part in the offset subspace"""
        return x - (x @ self.off.t()) @ self.off

    def _f(self, key):
        if key not in self.vec:
            self.vec[key] = torch.randn(self.d, generator=self.g)
        return self.vec[key]

    def _letters(self, key):
        """features first seen after the vocabulary: seeded by their own name, so that every process agrees"""
        if key not in self.vec:
            seed = int.from_bytes(key.encode()[:7], "little") + len(key)
            self.vec[key] = torch.randn(self.d, generator=torch.Generator().manual_seed(seed))
        return self.vec[key]

    def _raw(self, w, f=None):
        f, s = f or self._f, f"^{w}$"
        return (sum(f(c) for c in w) / len(w) ** .5 * .7 + .5 * f("L%d" % min(len(w), 10))
                + sum(f(s[i:i + 2]) for i in range(len(s) - 1)) / (len(s) - 1) ** .5)

    def unseen(self, w):
        """code of a word outside the vocabulary (numpy [d])"""
        if w not in self.cache:
            if len(self.cache) > 100000:
                self.cache.clear()
            x = F.normalize(self.clear(F.normalize(self._raw(w, self._letters) - self.mean, dim=0)), dim=0)
            self.cache[w] = (x * NORM).numpy()
        return self.cache[w]


class CellCode(nn.Module):
    def __init__(self, d=192):
        super().__init__()
        words, g = WordCodes(d), torch.Generator().manual_seed(7)
        self.register_buffer("word", words.table)
        self.register_buffer("offdirs", words.off)
        none = torch.randn(d, generator=g) * .3
        kind = torch.randn(10, d, generator=g) * .12
        more = torch.randn(2, d, generator=torch.Generator().manual_seed(8)) * .2
        self.register_buffer("none", words.clear(none))
        kind = words.clear(torch.cat([kind, more]))
        kind[0] = 0
        self.register_buffer("kind", kind)

    def offset_code(self, off):
        """[..., 2] pixels -> [..., 12]: linear terms (1 per 28 px in x, 1 per 14 px in y) and Fourier terms"""
        lin = torch.stack([off[..., 0] / 28, off[..., 1] / 14], -1).clamp(-4, 4)
        a = off[..., None] * (2 * math.pi / torch.tensor([112., 56.], device=off.device))
        b = off[..., 1:] * (2 * math.pi / torch.tensor([28., 14.], device=off.device))
        return torch.cat([lin, .6 * a.sin().flatten(-2), .6 * a.cos().flatten(-2) - .3, .4 * b.sin()], -1)

    def forward(self, b, noise=0.0, confuse=0.0):
        """b: arrays of a batch (cw word ids, ca shares, ck kinds, off, ext codes of unseen words)"""
        cw, ca, ck, off = [torch.from_numpy(b[k]) for k in ("cw", "ca", "ck", "off")]
        if confuse:
            swap = (torch.rand(cw.shape) < confuse) & (cw > 0)
            cw = torch.where(swap, torch.randint(1, NWORDS + 1, cw.shape), cw)
        has = (ca.sum(-1) > 0).float()[..., None]
        v = (self.table(b, True)[cw] * ca.sqrt()[..., None]).sum(-2) + (1 - has) * self.none
        wid = (ck > 0).float()[..., None]
        v = v + wid * (self.kind[ck] + self.offset_code(off) @ self.offdirs)
        return v + torch.randn_like(v) * noise if noise else v

    def table(self, b, zero=False):
        """rows: none (or zero), the vocabulary, this batch's unseen words"""
        first = torch.zeros_like(self.word[:1]) if zero else self.none[None]
        return torch.cat([first, self.word, torch.from_numpy(b["ext"]).view(-1, self.word.shape[1])])


def place_words(words, widgets, w, h, codes, ext):
    """Targets of every 28 px cell.

    words: (text, x0, x1, y centre); widgets: dicts with kind, text, box, `lab` (indices of their label's words).
    ext: dict unseen word -> row number, filled here. Returns cw, ca [n,2], ck [n], off [n,2] and cellsof: for each
    widget {word position: {cell: share}}, plus `boxcells` [{cell: share}] of fields and combos.
    """
    gw, gh = w // 28, h // 28
    n = gw * gh
    acc = [dict() for _ in range(n)]
    cellsof_word = []
    owner = {}
    for q in widgets:
        for i in q["lab"]:
            owner[i] = q
    for i, (t, x0, x1, yc) in enumerate(words):
        cellsof_word.append({})
        if not (0 <= yc < h) or x1 <= 0 or x0 >= w or not t:
            continue
        j = min(int(yc / 28), gh - 1)
        ov = {c: min(x1, 28 * c + 28) - max(x0, 28 * c) for c in range(max(int(x0 / 28), 0), min(int(x1 / 28), gw - 1) + 1)}
        if not ov:
            continue
        m = max(ov.values())
        for c, o in ov.items():
            if o >= 6 or o == m:
                acc[j * gw + c][i] = max(o, 1)
                cellsof_word[i][j * gw + c] = max(o, 1)
    cw, ca = np.zeros((n, 2), np.int64), np.zeros((n, 2), np.float32)
    ck, off = np.zeros(n, np.int64), np.zeros((n, 2), np.float32)
    from vocabulary import WORD_ID
    for c, d in enumerate(acc):
        for k, (i, o) in enumerate(sorted(d.items(), key=lambda z: -z[1])[:2]):
            t = words[i][0]
            cw[c, k] = WORD_ID[t] + 1 if t in WORD_ID else NWORDS + 1 + ext.setdefault(t, len(ext))
            ca[c, k] = o
            if k == 0 and i in owner:
                q = owner[i]
                ck[c] = KINDS.index(q["kind"])
                x = min(max(c % gw * 28 + 14, words[i][1] + 3), max(words[i][2] - 3, words[i][1] + 3))
                y = words[i][3]
                if q["kind"] not in ("field", "combo"):
                    y = min(max(y, q["box"][1] + 3), q["box"][3] - 3)
                off[c] = (x - (c % gw * 28 + 14), y - (c // gw * 28 + 14))
    ca /= np.maximum(ca.sum(1, keepdims=True), 1e-6)
    boxcells = []
    for q in widgets:
        cells = {}
        if q["kind"] in ("field", "combo"):
            x0, y0, x1, y1 = q["box"]
            need = min(9, .45 * (y1 - y0))
            for j in range(max(int(y0 / 28), 0), min(int(y1 / 28), gh - 1) + 1):
                oy = min(y1, 28 * j + 28) - max(y0, 28 * j)
                for i in range(max(int(x0 / 28), 0), min(int(x1 / 28), gw - 1) + 1):
                    ox = min(x1, 28 * i + 28) - max(x0, 28 * i)
                    c = j * gw + i
                    if oy < need or ox < 9 or (ck[c] > 0):
                        continue
                    ck[c] = BOX if q["kind"] == "field" else COMBOBOX
                    cx, cy = i * 28 + 14, j * 28 + 14
                    off[c] = (min(max(cx, x0 + 5), x1 - 5) - cx, min(max((y0 + y1) / 2, cy - 30), cy + 30) - cy)
                    cells[c] = oy * ox
        boxcells.append(cells)
    return cw, ca, ck, off, cellsof_word, boxcells
