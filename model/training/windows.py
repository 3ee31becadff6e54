"""Synthetic windows drawn with PIL: fast, endless, with exact boxes of widgets, words and characters.

`synthetic(r, w, h, labels)` returns a sample: img (uint8 [h, w, 3]), words [(text, x0, x1, y centre)], chars
[(char, x, y)] and widgets [{kind, text, box, lab}] where `lab` holds the indices of the label's words.
"""
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

F = "/usr/share/fonts/"
FONTS = [(F + p, w) for p, w in [
    ("truetype/dejavu/DejaVuSans.ttf", 5), ("truetype/dejavu/DejaVuSans-Bold.ttf", 1),
    ("truetype/liberation/LiberationSans-Regular.ttf", 4), ("truetype/liberation/LiberationSans-Bold.ttf", 1),
    ("truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf", 2), ("truetype/roboto/unhinted/RobotoTTF/Roboto-Medium.ttf", 1),
    ("truetype/open-sans/OpenSans-Regular.ttf", 2), ("opentype/cantarell/Cantarell-Regular.otf", 2),
    ("truetype/noto/NotoSans-Regular.ttf", 2), ("truetype/liberation/LiberationSerif-Regular.ttf", 1),
    ("truetype/dejavu/DejaVuSansMono.ttf", 1)]]
HELD_FONTS = [(F + "truetype/lato/Lato-Regular.ttf", 1), (F + "truetype/freefont/FreeSans.ttf", 1), (F + "opentype/inter/Inter-Regular.otf", 1)]
ACCENTS = [(53, 132, 228), (0, 120, 215), (25, 118, 210), (46, 160, 67), (220, 53, 69), (233, 84, 32), (111, 66, 193),
           (0, 137, 123), (200, 120, 0), (70, 70, 80)]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


@lru_cache(maxsize=4096)
def font(path, size):
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=200000)
def advance(path, size, ch):
    return font(path, size).getlength(ch)


@lru_cache(maxsize=4096)
def xheight(path, size):
    return -font(path, size).getbbox("x", anchor="ls")[1]


def width(fp, s):
    return sum(advance(fp[0], fp[1], c) for c in s)


def lum(c):
    return .3 * c[0] + .59 * c[1] + .11 * c[2]


def mix(a, b, t):
    return tuple(int(a[i] * (1 - t) + b[i] * t) for i in range(3))


def on(c):
    return WHITE if lum(c) < 160 else BLACK


class Canvas:
    def __init__(self, w, h, bg):
        self.im = Image.new("RGB", (w, h), bg)
        self.d = ImageDraw.Draw(self.im)
        self.chars, self.words, self.last = [], [], []

    def text(self, x, cy, s, fp, fill):
        """left edge x, vertical centre of the x-height band; returns the right edge"""
        xh = xheight(*fp)
        x, base = round(x), round(cy + xh / 2)
        self.d.text((x, base), s, font=font(*fp), fill=fill, anchor="ls")
        yc, wx, cx, n0 = base - xh / 2, x, x, len(self.words)
        for w in s.split(" "):
            e = wx + width(fp, w)
            self.words.append((w, wx, e, yc))
            wx = e + advance(fp[0], fp[1], " ")
        for c in s:
            a = advance(fp[0], fp[1], c)
            if c != " ":
                self.chars.append((c, cx + a / 2, yc))
            cx += a
        self.last = list(range(n0, len(self.words)))
        return cx

    def rect(self, b, rad=0, fill=None, outline=None, wd=1):
        b = [round(v) for v in b]
        if rad and min(b[2] - b[0], b[3] - b[1]) > 2 * rad:
            self.d.rounded_rectangle(b, rad, fill=fill, outline=outline, width=wd)
        else:
            self.d.rectangle(b, fill=fill, outline=outline, width=wd)


class Theme:
    def __init__(self, r):
        self.dark = r.random() < .33
        if self.dark:
            v = r.randint(20, 60)
            self.bg, v = (v, v + r.randint(-3, 3), v + r.randint(0, 8)), r.randint(205, 255)
            self.fg = (v, v, v)
        else:
            v = r.randint(225, 255)
            self.bg = WHITE if r.random() < .3 else (v, v + r.randint(-6, 0), v + r.randint(-8, 0))
            v = r.randint(0, 60)
            self.fg = (v, v, v + r.randint(0, 10))
        self.base = mix(self.bg, WHITE, r.uniform(0, .12) if self.dark else r.choice([1, 1, .7]))
        if r.random() < .15:
            self.base = mix(self.bg, BLACK, .25 if self.dark else .06)
        self.accent, self.border = r.choice(ACCENTS), mix(self.bg, self.fg, r.uniform(.15, .5))
        self.btn = mix(self.bg, self.fg, r.uniform(.03, .16)) if r.random() < .75 else self.base
        self.dim, self.rad = mix(self.bg, self.fg, r.uniform(.55, .8)), r.choice([0, 0, 2, 3, 4, 5, 6, 8, 12])
        self.link = mix(self.accent if r.random() < .5 else (0, 90, 220), WHITE, .4 if self.dark else 0)
        self.head = mix(self.bg, self.fg, r.uniform(0, .15)) if r.random() < .7 else mix(BLACK, WHITE, r.uniform(.1, .5))
        self.button_border, self.relief, self.primary = r.random() < .75, r.random() < .12, r.random() < .6
        self.underline, self.tabs, self.marks = r.random() < .55, r.randint(0, 3), r.randint(0, 3)
        self.colon, self.gap, self.padx = r.random() < .3, r.randint(3, 14), r.randint(6, 20)


class Scene:
    """One window; `style` 'held' is a layout family kept out of training."""

    def __init__(self, r, w, h, labels, fonts=FONTS, style="train", maxwidgets=99):
        self.r, self.w, self.h, self.labels, self.style, self.max = r, w, h, labels, style, maxwidgets
        self.t, self.ws, self.used = Theme(r), [], set()
        self.c = Canvas(w, h, self.t.bg)
        path = r.choices([f for f, _ in fonts], [x for _, x in fonts])[0]
        self.fp = (path, r.choices(range(11, 20), [2, 4, 5, 5, 4, 3, 2, 1, 1])[0])
        self.lh = self.fp[1] + 6

    def label(self, maxlen=20, maxpx=None):
        for _ in range(20):
            s = self.labels.label(maxlen)
            if s.lower() not in self.used and (maxpx is None or width(self.fp, s) <= maxpx):
                self.used.add(s.lower())
                return s
        return None

    def add(self, kind, text, box, lab=None):
        self.ws.append(dict(kind=kind, text=text, box=tuple(box), lab=lab if lab is not None else self.c.last))

    # widgets: each returns its right edge, or None when it does not fit
    def button(self, x, y, bh, xmax):
        r, t, c = self.r, self.t, self.c
        s = self.label(16, xmax - x - 2 * t.padx)
        if not s:
            return None
        wd = width(self.fp, s) + 2 * t.padx
        if r.random() < .5:
            wd = max(wd, min(r.randint(60, 110), xmax - x))
        if x + wd > xmax:
            return None
        primary = t.primary and r.random() < .25
        fill = t.accent if primary else t.btn
        if t.relief:
            c.d.rectangle([x, y, x + wd, y + bh], fill=fill)
            c.d.line([x, y + bh, x, y, x + wd, y], fill=mix(fill, WHITE, .7))
            c.d.line([x, y + bh, x + wd, y + bh, x + wd, y], fill=mix(fill, BLACK, .5))
        else:
            c.rect((x, y, x + wd, y + bh), t.rad, fill, None if primary or (not t.button_border and fill != t.bg) else t.border)
        c.text(x + (wd - width(self.fp, s)) / 2, y + bh / 2, s, self.fp, on(fill) if primary else t.fg)
        self.add("button", s, (x, y, x + wd, y + bh))
        return x + wd

    def entry(self, x, y, x2, bh, name, lab, combo=False):
        r, t, c = self.r, self.t, self.c
        focus = r.random() < .15
        if r.random() < .1 and not combo:
            c.d.line([x, y + bh, x2, y + bh], fill=t.accent if focus else t.border, width=2 if focus else 1)
        else:
            c.rect((x, y, x2, y + bh), min(t.rad, 6), t.btn if combo and r.random() < .5 else t.base,
                   t.accent if focus else t.border, 2 if focus and r.random() < .5 else 1)
        e = x + 6
        if r.random() < (.9 if combo else .4):
            val = self.labels.word() if r.random() < .8 else str(r.randint(0, 9999))
            while val and width(self.fp, val) > x2 - x - (28 if combo else 12):
                val = val[:-1]
            if val:
                e = c.text(e, y + bh / 2, val, self.fp, t.dim if r.random() < .3 else t.fg)
        if focus:
            c.d.line([e + 1, y + 4, e + 1, y + bh - 4], fill=t.fg)
        if combo:
            ax, ay = x2 - 12, y + bh / 2
            if r.random() < .5:
                c.d.polygon([(ax - 4, ay - 2), (ax + 4, ay - 2), (ax, ay + 3)], fill=t.fg)
            else:
                c.d.line([(ax - 4, ay - 2), (ax, ay + 2), (ax + 4, ay - 2)], fill=t.fg)
        self.add("combo" if combo else "field", name, (x, y, x2, y + bh), lab)

    def mark(self, x, y, sz, active, radio):
        t, c = self.t, self.c
        solid = active and t.marks in (0, 1)
        fill, line = t.accent if solid else t.base, t.accent if active and t.marks < 2 else mix(t.bg, t.fg, .6)
        ink = WHITE if solid else t.fg
        if radio:
            c.d.ellipse([x, y, x + sz, y + sz], fill=fill, outline=line)
            if active:
                q = sz * .3
                c.d.ellipse([x + q, y + q, x + sz - q, y + sz - q], fill=ink)
            return
        c.rect((x, y, x + sz, y + sz), 2 if t.rad else 0, fill, line)
        if active and t.marks == 3:
            q = sz * .25
            c.d.line([x + q, y + q, x + sz - q, y + sz - q], fill=ink, width=2)
            c.d.line([x + q, y + sz - q, x + sz - q, y + q], fill=ink, width=2)
        elif active:
            c.d.line([(x + sz * .22, y + sz * .52), (x + sz * .42, y + sz * .74), (x + sz * .8, y + sz * .26)], fill=ink, width=2)

    def check(self, x, y, bh, xmax, radio=False):
        r = self.r
        sz = min(self.fp[1] + r.randint(-1, 3), bh)
        s = self.label(24, xmax - x - sz - 10)
        if not s:
            return None
        self.mark(x, y + (bh - sz) // 2, sz, r.random() < .45, radio)
        e = self.c.text(x + sz + 6, y + bh / 2, s, self.fp, self.t.fg)
        self.add("radio" if radio else "check", s, (x, y, e, y + bh))
        return e

    def link(self, x, y, bh, xmax):
        s = self.label(20, xmax - x)
        if not s:
            return None
        e, m = self.c.text(x, y + bh / 2, s, self.fp, self.t.link), y + bh / 2
        if self.t.underline:
            self.c.d.line([x, m + self.fp[1] * .5, e, m + self.fp[1] * .5], fill=self.t.link)
        self.add("link", s, (x, m - self.fp[1] * .7, e, m + self.fp[1] * .7))
        return e

    def static(self, x, y, bh, xmax, big=False):
        fp = (self.fp[0], self.fp[1] + (self.r.randint(2, 8) if big else 0))
        s = " ".join(self.labels.word() for _ in range(self.r.randint(1, 3 if big else 6)))
        while s and width(fp, s) > xmax - x:
            s = " ".join(s.split(" ")[:-1])
        if s:
            self.c.text(x, y + bh / 2, s, fp, self.t.fg if big or self.r.random() < .6 else self.t.dim)

    # bars
    def titlebar(self):
        r, t, c, w = self.r, self.t, self.c, self.w
        bh = r.randint(20, 36)
        c.d.rectangle([0, 0, w, bh], fill=t.head)
        s, fp = " ".join(self.labels.word() for _ in range(r.randint(1, 2))), (self.fp[0], self.fp[1])
        if width(fp, s) < w - 90:
            c.text(8 if r.random() < .5 else (w - width(fp, s)) / 2, bh / 2, s, fp, on(t.head))
        for i in range(3):
            q = w - 16 - i * 20
            c.d.line([q - 4, bh / 2 + (3 if i else -4), q + 4, bh / 2 + (3 if i else 4)], fill=on(t.head))
        return bh + 1

    def menubar(self, y):
        r, t, c, w = self.r, self.t, self.c, self.w
        bh, x = self.lh + r.randint(0, 8), r.randint(4, 10)
        if r.random() < .4:
            c.d.rectangle([0, y, w, y + bh], fill=mix(t.bg, t.fg, .06))
        for _ in range(r.randint(2, 6)):
            s = self.label(9, w - x - 12)
            if not s or len(self.ws) >= self.max:
                break
            e = c.text(x + 6, y + bh / 2, s, self.fp, t.fg)
            self.add("menu", s, (x, y, e + 6, y + bh))
            x = e + 6 + r.randint(2, 10)
        return y + bh + 1

    def tabbar(self, y):
        r, t, c, w = self.r, self.t, self.c, self.w
        bh, x, active = self.lh + r.randint(4, 12), r.randint(0, 12), r.randint(0, 2)
        y += r.randint(0, 6)
        for i in range(r.randint(2, 5)):
            s = self.label(12, w - x - 30)
            if not s or len(self.ws) >= self.max:
                break
            e, sel = x + width(self.fp, s) + 2 * t.padx, i == active
            if t.tabs == 0:
                c.rect((x, y, e, y + bh), 3, t.base if sel else t.btn, t.border)
            elif t.tabs == 1 and sel:
                c.d.rectangle([x, y + bh - 2, e, y + bh], fill=t.accent)
            elif t.tabs == 2:
                c.rect((x, y, e, y + bh), t.rad, t.accent if sel else t.btn)
            c.text(x + t.padx, y + bh / 2, s, self.fp, on(t.accent) if t.tabs == 2 and sel else t.fg)
            self.add("tab", s, (x, y, e, y + bh))
            x = e + r.randint(0, 6)
        return y + bh

    def list(self, x0, y, x1):
        r, t, c = self.r, self.t, self.c
        n, x2, sel = r.randint(2, 5), x1 if r.random() < .5 else x0 + .6 * (x1 - x0), r.randint(0, 6)
        if y + n * self.lh + 4 >= self.h - 4:
            return y
        c.rect((x0, y, x2, y + n * self.lh + 4), 0, t.base, t.border)
        yy = y + 2
        for i in range(n):
            s = self.label(18, x2 - x0 - 10)
            if s:
                if i == sel:
                    c.d.rectangle([x0 + 1, yy, x2 - 1, yy + self.lh], fill=t.accent)
                c.text(x0 + 5, yy + self.lh / 2, s, self.fp, on(t.accent) if i == sel else t.fg)
                self.add("item", s, (x0, yy, x2, yy + self.lh))
            yy += self.lh
        return yy + 4

    def build(self):
        r, t, w, h, y = self.r, self.t, self.w, self.h, 0
        if r.random() < .45 and h > 90:
            y = self.titlebar()
        if r.random() < .3 and h > 80:
            y = self.menubar(y)
            if r.random() < .5:
                self.c.d.line([0, y, w, y], fill=t.border)
        if r.random() < .3 and h > 110:
            y = self.tabbar(y)
            if r.random() < .5:
                self.c.d.line([0, y, w, y], fill=t.border)
        y, m = y + r.randint(3, 14), r.randint(5, 24)
        cols = 2 if w > 330 and r.random() < .35 else 1
        cols = 3 if w > 560 and r.random() < .25 else cols
        cw = (w - m) / cols
        for k in range(cols):
            self.column(m + k * cw, y, m + (k + 1) * cw - 10)
        return self

    def column(self, x0, y, x1):
        r, t, c = self.r, self.t, self.c
        bh, bottom = self.lh + 2 * r.randint(0, 6), self.h - 4
        layout = r.choices(["left", "right", "above"], [5, 3, 3])[0]
        labw = r.uniform(.22, .45) * (x1 - x0)
        form = r.random() < .35                                           # a run of entries, as in a real form
        if r.random() < .25:
            self.static(x0, y, bh, x1, True)
            y += bh + t.gap
        share = [5, 2, 2, 1, 3.5, 1.5, 1.5, .8, .6] if not form else [12, 3, 1, .5, 2, .3, .3, .1, .3]
        while y + bh < bottom and len(self.ws) < self.max:
            k = r.choices("field combo check radio button link text list blank".split(), share)[0]
            if x1 - x0 < 90 and k in ("field", "combo"):
                k = "button"
            if k in ("field", "combo"):
                s = self.label(18, (x1 - x0) - 4 if layout == "above" else labw - 8)
                if s:
                    d = s + (":" if t.colon else "")
                    xr = x1 if r.random() < .6 else x0 + (x1 - x0) * r.uniform(.6, 1)
                    if layout == "above":
                        if y + self.lh + bh > bottom:
                            break
                        c.text(x0, y + self.lh / 2, d, self.fp, t.fg)
                        lab = c.last
                        y += self.lh
                        self.entry(x0, y, xr, bh, s, lab, k == "combo")
                    else:
                        c.text(max(x0 + labw - 8 - width(self.fp, d), x0) if layout == "right" else x0, y + bh / 2, d, self.fp, t.fg)
                        self.entry(x0 + labw + 2, y, max(xr, x0 + labw + 50) if xr < x1 else x1, bh, s, c.last, k == "combo")
            elif k in ("check", "radio"):
                if r.random() < .3:
                    x = x0
                    for _ in range(3):
                        e = self.check(x, y, bh, x1, k == "radio")
                        if not e:
                            break
                        x = e + r.randint(12, 30)
                else:
                    for _ in range(r.randint(1, 3)):
                        if y + bh > bottom:
                            break
                        self.check(x0, y, self.lh, x1, k == "radio")
                        y += self.lh + r.randint(0, 6)
                    y -= bh
            elif k == "button":
                x = x0 if r.random() < .6 else x0 + r.uniform(0, .5) * (x1 - x0)
                for _ in range(r.randint(1, 4)):
                    e = self.button(x, y, bh, x1)
                    if not e:
                        break
                    x = e + r.randint(3, 16)
            elif k == "link":
                x = x0
                for _ in range(r.randint(1, 3)):
                    e = self.link(x, y, bh, x1)
                    if not e:
                        break
                    x = e + r.randint(14, 40)
            elif k == "text":
                self.static(x0, y, bh, x1)
            elif k == "list":
                y = self.list(x0, y, x1) - bh
            y += bh + t.gap


def strip(word):
    return word.strip(":.,…*()?!;\"'")


def on_desktop(r, img, w, h):
    """place a window somewhere on a plain desktop of w x h; returns image and offset"""
    c = Image.new("RGB", (w, h), tuple(r.randint(0, 255) for _ in range(3)) if r.random() < .5 else (r.randint(0, 90),) * 3)
    x, y = r.randint(0, w - img.width), r.randint(0, h - img.height)
    c.paste(img, (x, y))
    return c, x, y


def finish(im, words, widgets, w, h, chars=None):
    """resize to w x h (multiples of 28) as Qwen's smart_resize does, clean the words, drop widgets without a label"""
    sx, sy = w / im.width, h / im.height
    if (im.width, im.height) != (w, h):
        im = im.resize((w, h), Image.BICUBIC)
    words = [(strip(t), a * sx, b * sx, y * sy) for t, a, b, y in words]
    out = []
    for q in widgets:
        x0, y0, x1, y1 = q["box"]
        box = (x0 * sx, y0 * sy, x1 * sx, y1 * sy)
        lab = [i for i in q["lab"] if words[i][0]]
        if lab and box[2] - box[0] >= 4 and box[3] - box[1] >= 4:
            out.append(dict(kind=q["kind"], text=" ".join(words[i][0] for i in lab), box=box, lab=lab))
    s = dict(img=np.asarray(im), words=words, widgets=out, w=w, h=h)
    if chars is not None:
        s["chars"] = [(c, x * sx, y * sy) for c, x, y in chars]
    return s


def synthetic(r, w, h, labels, fonts=FONTS, style="train"):
    while True:
        tw, th = (w, h) if r.random() < .4 else (w + r.randint(-13, 13), h + r.randint(-13, 13))
        dx = dy = 0
        if w >= 336 and h >= 252 and r.random() < .15:                 # a smaller window on a desktop
            ww, wh = r.randint(int(.6 * tw), tw), r.randint(int(.6 * th), th)
            sc = Scene(r, ww, wh, labels, fonts, style).build()
            im, dx, dy = on_desktop(r, sc.c.im, tw, th)
        else:
            sc = Scene(r, tw, th, labels, fonts, style).build()
            im = sc.c.im
        words = [(t, a + dx, b + dx, y + dy) for t, a, b, y in sc.c.words]
        ws = [dict(q, box=(q["box"][0] + dx, q["box"][1] + dy, q["box"][2] + dx, q["box"][3] + dy)) for q in sc.ws]
        s = finish(im, words, ws, w, h, [(c, x + dx, y + dy) for c, x, y in sc.c.chars])
        if s["widgets"]:
            return s
