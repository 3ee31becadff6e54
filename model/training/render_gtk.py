"""Random GTK 3 windows (forms, dialogs, tabs, lists) rendered on a virtual display with a window manager.

python render_gtk.py --out DIR --n 1500 --seed 1     writes DIR/NNNNN.png and DIR/index.jsonl
"""
import argparse
import json
import os
import random
import subprocess
import time

from PIL import Image

from labels import LabelSource
from render_chromium import to_sample

FONTS = ["DejaVu Sans", "Liberation Sans", "Cantarell", "Noto Sans", "Roboto", "Open Sans"]
HELD_FONTS = ["Lato", "FreeSans", "Inter"]
SCREENS = [(320, 240), (400, 300), (420, 340), (448, 336), (480, 360), (500, 400), (560, 420), (560, 420), (640, 480), (640, 480)]
PALETTES = [("#f6f5f4", "#2e3436"), ("#ffffff", "#222222"), ("#dcdad5", "#000000"), ("#2d2d30", "#e6e6e6"), ("#e8ecf0", "#203040"), ("#3b4252", "#eceff4")]
HELD_PALETTES = [("#fdf6e3", "#586e75"), ("#002b36", "#93a1a1"), ("#ffe4ec", "#4a0d2b"), ("#e8f5e9", "#1b5e20")]


class Display:
    """A virtual display with windows of GTK; tree: boxes are those of the accessibility tree, on a session bus of their own."""

    def __init__(self, number=77, size="700x560", tree=False):
        self.tree, self.apart = tree, []
        base = os.path.dirname(os.path.abspath(__file__))
        self.x = subprocess.Popen(["Xvfb", f":{number}", "-screen", "0", f"{size}x24"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        env = dict(os.environ, DISPLAY=f":{number}", GTK_CSD="0", NO_AT_BRIDGE="1", GDK_BACKEND="x11")
        self.wm = subprocess.Popen(["openbox"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(.7)
        server = ["/usr/bin/python3", os.path.join(base, "gtk_server.py")]
        if tree:
            del env["NO_AT_BRIDGE"]
            server = ["dbus-run-session", "--", *server, "--tree"]
        self.s = subprocess.Popen(server, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.png = f"/tmp/gtk-{number}-{os.getpid()}.png"

    def show(self, spec):
        spec["png"] = self.png
        self.s.stdin.write(json.dumps(spec) + "\n")
        self.s.stdin.flush()
        answer = self.s.stdout.readline()
        while answer and not answer.startswith("{"):                     # the accessibility bus says on it that it runs
            answer = self.s.stdout.readline()
        d = json.loads(answer)
        if "error" in d:
            raise RuntimeError(d["error"])
        for q in d["widgets"]:
            box = q.pop("tree")
            if self.tree:
                # How far the toolkit's own box is from it; nothing of what the tree does not have.
                self.apart.append(max(abs(a - b) for a, b in zip(q["box"], box)) if box else None)
                q["box"] = box or q["box"]
        return Image.open(self.png).convert("RGB"), d

    def close(self):
        for p in (self.s, self.wm, self.x):
            p.terminate()


class Window:
    def __init__(self, r, labels, held=False, maxwidgets=14):
        self.r, self.labels, self.held, self.max, self.n, self.used = r, labels, held, maxwidgets, 0, set()

    def label(self, maxlen=18):
        while True:
            t = self.labels.label(maxlen)
            if t.lower() not in self.used:
                self.used.add(t.lower())
                return t

    def full(self):
        return self.n >= self.max

    def w(self, kind, t=None, **k):
        self.n += 1
        return dict(t=t or kind, k=kind, i=self.n, **k)

    def named(self, kind, t=None, n=18, **k):
        return self.w(kind, t, text=self.label(n), **k)

    def entry(self):
        r, k = self.r, self.r.random()
        if r.random() < .25:
            return self.w("combo", options=[self.labels.word() for _ in range(3)])
        if r.random() < .06:
            return self.w("field", "spin", value=r.randint(0, 99))
        e = self.w("field")
        if k < .25:
            e["value"] = self.labels.word()
        elif k < .35:
            e["hint"] = self.labels.word()
        if r.random() < .2:
            e["chars"] = r.randint(8, 18)
        return e

    def fields(self, n):
        r = self.r
        layout = r.choice(["above"]) if self.held and r.random() < .6 else r.choices(["grid", "above", "grid2"], [6, 2, 1])[0]
        align, colon = r.choice([0, 0, 1]), r.random() < .35
        rows = []
        for _ in range(n):
            if self.full():
                break
            e = self.entry()
            t = self.label(16) + (":" if colon else "")
            rows.append([dict(t="label", text=t, x=align, **{"for": e["i"]}), e])
        if layout == "above":
            return dict(t="vbox", gap=2, c=[x for a, e in rows for x in (dict(a, x=0), e)])
        if layout == "grid2" and len(rows) > 1:
            h = (len(rows) + 1) // 2
            rows = [a + (b if b else []) for a, b in zip(rows[:h], rows[h:] + [None])]
        return dict(t="grid", gap=r.choice([4, 6, 8, 10]), cgap=r.choice([6, 10, 16]), rows=rows)

    def block(self):
        r = self.r
        k = r.choices(["fields", "checks", "radios", "links", "buttons", "list", "text", "frame"], [4, 2.2, 1.6, .8, 2, 1.2, .6, .8])[0]
        if k == "fields":
            return self.fields(r.randint(1, 4))
        if k in ("checks", "radios"):
            g = f"g{self.n}"
            c = [self.named(k[:-1], n=20, g=g, on=r.random() < .4) for _ in range(r.randint(1, 3)) if not self.full()]
            return dict(t="hbox" if r.random() < .3 else "vbox", gap=r.choice([2, 6, 12]), c=c)
        if k == "links":
            return dict(t="hbox", gap=8, c=[self.named("link") for _ in range(r.randint(1, 2))])
        if k == "buttons":
            c = [self.named("button", r.choice(["button", "button", "toggle"]), n=15) for _ in range(r.randint(1, 3)) if not self.full()]
            return dict(t="hbox", gap=6, align=r.choice([None, None, "end", "center"]), c=c)
        if k == "list":
            return dict(t="list", pad=r.randint(1, 6), sel=r.randint(0, 5), c=[self.named("item") for _ in range(r.randint(2, 5)) if not self.full()])
        if k == "text":
            return dict(t="label", text=" ".join(self.labels.word() for _ in range(r.randint(1, 5))))
        inner = self.fields(r.randint(1, 2)) if r.random() < .5 else dict(t="vbox", c=[self.named("check") for _ in range(2)])
        return dict(t="frame", text=self.labels.word(), c=dict(t="vbox", border=6, c=[inner]))

    def spec(self, w, h):
        r = self.r
        s = dict(title=" ".join(self.labels.word() for _ in range(r.randint(1, 2))), x=0, y=0, w=w, h=h, focus=r.choice([None, None, r.randint(0, 9)]))
        s["dark"] = r.random() < .3
        s["theme"] = r.choices(["Adwaita", "HighContrast", "Raleigh"], [8, 1, 1])[0]
        s["font"] = f"{r.choice(HELD_FONTS if self.held else FONTS)} {r.choice([8, 9, 10, 10, 11, 11, 12, 13])}"
        css = []
        if self.held:
            s["theme"], s["dark"] = r.choice([("HighContrastInverse", False), ("Adwaita", False), ("Adwaita", True)])
        if self.held and s["theme"] == "Adwaita" or r.random() < .35:
            bg, fg = r.choice(HELD_PALETTES if self.held else PALETTES)
            rad, s["theme"] = r.choice([0, 2, 6, 12]), "Adwaita"
            s["dark"] = int(bg[1:3], 16) < 128
            mix = r.choice(["alpha(%s,.08)" % fg, "shade(%s,1.1)" % bg, bg])
            css.append(f"window,dialog{{background-color:{bg};color:{fg}}}label{{color:{fg}}}button,entry{{border-radius:{rad}px;background-image:none;background-color:{mix};color:{fg};border:1px solid alpha({fg},.4)}}")
        if r.random() < .25:
            css.append(f"button{{padding:{r.randint(1, 8)}px {r.randint(6, 22)}px}}entry{{min-height:{r.randint(20, 34)}px}}")
        s["css"] = "".join(css)
        c, k = [], r.random()
        if k < .3:                                                       # a dialog like zenity's forms
            if r.random() < .6:
                c.append(dict(t="label", text=" ".join(self.labels.word() for _ in range(r.randint(1, 4)))))
            c.append(self.fields(r.randint(2, 6)))
            buttons = [self.named("button", n=9) for _ in range(2)]
            if r.random() < .2:
                s["header"] = dict(start=[buttons[0]], end=[dict(buttons[1], suggested="suggested-action")])
            else:
                if r.random() < .6:
                    buttons = [dict(b, grow=True) for b in buttons]
                c.append(dict(t="vbox", c=[], grow=True))
                c.append(dict(t="hbox", align=None if "grow" in buttons[0] else "end", c=buttons))
            s["root"] = dict(t="vbox", gap=r.choice([6, 10, 14]), border=r.choice([5, 10, 12, 18]), c=c)
            return s
        if r.random() < .08:
            s["header"] = dict(start=[self.named("button", n=9)], end=[self.named("button", n=9)])
        blocks = [self.block() for _ in range(max(2, int(h / r.uniform(80, 120)))) if not self.full()]
        if w > 420 and r.random() < .25 and len(blocks) > 2:
            m = len(blocks) // 2
            inner = dict(t="hbox", gap=16, c=[dict(t="vbox", gap=8, grow=True, c=blocks[:m]), dict(t="vbox", gap=8, grow=True, c=blocks[m:])])
        else:
            inner = dict(t="vbox", gap=r.choice([4, 8, 12]), c=blocks)
        inner["border"] = r.choice([6, 10, 16])
        if r.random() < .25:
            inner = dict(t="notebook", tabs=[self.named("tab", n=11) for _ in range(r.randint(2, 4))], c=inner)
        if r.random() < .22:
            c.append(dict(t="menubar", c=[self.named("menu", n=9) for _ in range(r.randint(2, 5))]))
        s["root"] = dict(t="vbox", gap=0, c=c + [dict(inner, grow=True)])
        return s


def render(r, display, window, desktop=.55):
    """-> image, words, widgets in the coordinates of a client-area or whole-screen picture"""
    W, H = r.choice(SCREENS)
    whole = r.random() < desktop
    w, h = (r.randint(int(.6 * W), W - 4), r.randint(int(.6 * H), H - 26)) if whole else (W, H)
    s = window.spec(w, h)
    if whole:
        s["x"], s["y"] = r.randint(0, max(0, W - w - 4)), r.randint(0, max(0, H - h - 24))
    im, d = display.show(s)
    if whole:
        f = d["frame"]
        if f[2] > W or f[3] > H:
            return None
        c = Image.new("RGB", (W, H), r.choice([(0, 0, 0), (0, 0, 0), (48, 48, 54), (60, 90, 130), (128, 128, 128)]))
        c.paste(im.crop(f), (f[0], f[1]))
        x0 = y0 = 0
        words = d["words"]                                              # the window manager's title is not among them
    else:
        x0, y0, x1, y1 = d["client"]
        x1, y1 = min(x1, x0 + 640), min(y1, y0 + 480)
        c = im.crop((x0, y0, x1, y1))
        words = [(t, a - x0, b - x0, y - y0, i) for t, a, b, y, i in d["words"]]
    widgets = [dict(q, box=[q["box"][0] - x0, q["box"][1] - y0, q["box"][2] - x0, q["box"][3] - y0]) for q in d["widgets"]]
    ws, ok = to_sample(c, words, widgets)
    return (c, ws, ok) if ok else None


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True), ap.add_argument("--n", type=int, default=1000), ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--display", type=int, default=77)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    r, d, t0 = random.Random(a.seed), Display(a.display), time.time()
    k0 = len([f for f in os.listdir(a.out) if f.endswith(".png")])
    index = open(f"{a.out}/index.jsonl", "a")
    for k in range(k0, k0 + a.n):
        try:
            got = render(r, d, Window(r, LabelSource(r, .12, .04)))
        except RuntimeError as e:
            print(e)
            continue
        if not got:
            continue
        im, words, widgets = got
        im.save(f"{a.out}/{k:05d}.png", compress_level=3)
        index.write(json.dumps(dict(file=f"{k:05d}.png", width=im.width, height=im.height, words=words, widgets=widgets)) + "\n")
        if k % 50 == 49:
            index.flush()
            print(k + 1, f"{(time.time() - t0) / (k + 1 - k0):.3f} s each", flush=True)
    d.close()


if __name__ == "__main__":
    main()
