"""Renders random pages in one headless Chromium driven over the DevTools protocol; boxes come from the DOM.

python render_chromium.py --out DIR --n 3000 --seed 1     writes DIR/NNNNN.png and DIR/index.jsonl
"""
import argparse
import base64
import io
import json
import os
import random
import subprocess
import tempfile
import time
import urllib.request

import websocket
from PIL import Image, ImageDraw, ImageFont

from labels import LabelSource
from pages import page

SIZES = [(320, 240), (336, 224), (360, 280), (400, 300), (420, 340), (448, 336), (480, 320), (480, 360), (500, 400), (560, 420),
         (600, 400), (640, 400), (640, 480), (640, 480), (560, 420), (300, 420)]
MEASURE = r"""(() => {
 const words = [], widgets = [], owner = e => { const l = e.closest('[data-l]'); return l ? +l.dataset.l : 0 };
 const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
 for (let n; n = walk.nextNode();) {
  if (['OPTION', 'STYLE', 'SCRIPT'].includes(n.parentElement.tagName)) continue;
  for (const m of n.data.matchAll(/[^\s\u00a0]+/g)) {
   const g = document.createRange(); g.setStart(n, m.index); g.setEnd(n, m.index + m[0].length);
   const b = g.getBoundingClientRect(); if (b.width) words.push([m[0], b.left, b.right, (b.top + b.bottom) / 2, owner(n.parentElement)]);
  } }
 const cx = document.createElement('canvas').getContext('2d');
 for (const e of document.querySelectorAll('[data-k]')) {
  const b = e.getBoundingClientRect(), c = getComputedStyle(e);
  widgets.push({kind: e.dataset.k, id: +e.dataset.i, box: [b.left, b.top, b.right, b.bottom]});
  let t = e.tagName == 'SELECT' ? e.options[e.selectedIndex].text : e.tagName == 'INPUT' ? (e.type == 'password' ? e.placeholder : e.value || e.placeholder) : '';
  if (t) { cx.font = `${c.fontWeight} ${c.fontSize} ${c.fontFamily}`;
   let x = b.left + parseFloat(c.borderLeftWidth) + parseFloat(c.paddingLeft) + (e.tagName == 'SELECT' ? 4 : 0);
   for (const w of t.split(' ')) { const k = cx.measureText(w).width; if (x + k < b.right) words.push([w, x, x + k, (b.top + b.bottom) / 2, e.dataset.p ? +e.dataset.i : 0]); x += k + cx.measureText(' ').width; } }
 }
 return JSON.stringify({words, widgets}) })()"""


class Chromium:
    def __init__(self):
        self.dir = tempfile.mkdtemp()
        self.p = subprocess.Popen(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
                                   "--remote-allow-origins=*", f"--user-data-dir={self.dir}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = None
        for _ in range(200):
            time.sleep(.1)
            try:
                port = open(f"{self.dir}/DevToolsActivePort").read().split()[0]
                tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
                break
            except (OSError, IndexError):
                continue
        self.ws = websocket.create_connection([t for t in tabs if t["type"] == "page"][0]["webSocketDebuggerUrl"], timeout=30)
        self.n, self.size = 0, None

    def call(self, method, **params):
        self.n += 1
        self.ws.send(json.dumps(dict(id=self.n, method=method, params=params)))
        while True:
            m = json.loads(self.ws.recv())
            if m.get("id") == self.n:
                if "error" in m:
                    raise RuntimeError(m["error"])
                return m["result"]

    def render(self, html, w, h, scale=1.0):
        if self.size != (w, h, scale):
            self.call("Emulation.setDeviceMetricsOverride", width=round(w / scale), height=round(h / scale), deviceScaleFactor=scale, mobile=False)
            self.size = (w, h, scale)
        self.call("Runtime.evaluate", expression=f"document.open();document.write({json.dumps(html)});document.close()")
        data = json.loads(self.call("Runtime.evaluate", expression=MEASURE)["result"]["value"])
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        im = Image.open(io.BytesIO(png)).convert("RGB")
        words = [(t, a * scale, b * scale, y * scale, i) for t, a, b, y, i in data["words"]]
        widgets = [dict(q, box=[v * scale for v in q["box"]]) for q in data["widgets"]]
        return im, words, widgets

    def close(self):
        self.p.terminate()
        self.p.wait()


def to_sample(im, words, widgets, room=None):
    """drop what is cut off; words without ids, widgets with `lab` word indices. room: size the widget must lie in"""
    w, h = room or im.size
    words = [x for x in words if 0 <= x[3] < h and x[1] < w and x[2] > 0]
    out = []
    for q in widgets:
        lab = [i for i, x in enumerate(words) if x[4] == q["id"]]
        x0, y0, x1, y1 = q["box"]
        if lab and x0 >= -1 and y0 >= -1 and x1 <= w + 1 and y1 <= h + 1 and words[lab[0]][3] < h - 4:
            out.append(dict(kind=q["kind"], box=[round(v, 1) for v in q["box"]], lab=lab))
    return [[t, round(a, 1), round(b, 1), round(y, 1)] for t, a, b, y, _ in words], out


def decorate(r, im, words, widgets, labels, w, h, fonts):
    """put the window on a desktop of w x h under a title bar, as a window manager would"""
    bar = r.choice([0, 18, 22, 24, 28])
    c = Image.new("RGB", (w, h), r.choice([(0, 0, 0), (40, 40, 46), (51, 102, 153), (90, 90, 90), (120, 20, 60), tuple(r.randint(0, 255) for _ in range(3))]))
    x, y = r.randint(0, max(0, w - im.width)), r.randint(bar, max(bar, h - im.height))
    c.paste(im, (x, y))
    out = [(t, a + x, b + x, v + y, i) for t, a, b, v, i in words]
    if bar:
        d = ImageDraw.Draw(c)
        col = r.choice([(40, 60, 90), (220, 220, 220), (60, 60, 60), (90, 130, 180)])
        ink = (255, 255, 255) if sum(col) < 380 else (0, 0, 0)
        d.rectangle([x, y - bar, x + im.width, y - 1], fill=col)
        f = ImageFont.truetype(r.choice(fonts), r.randint(11, 14))
        t = labels.word()
        k = d.textlength(t, font=f)
        tx = x + 26 if r.random() < .5 else x + (im.width - k) / 2
        d.text((tx, y - bar / 2), t, font=f, fill=ink, anchor="lm")
        out.append((t, tx, tx + k, y - bar / 2, 0))
        for j in range(3):
            q = x + im.width - 14 - 18 * j
            d.rectangle([q - 4, y - bar / 2 - 4, q + 4, y - bar / 2 + 4], outline=ink)
    return c, out, [dict(q, box=[q["box"][0] + x, q["box"][1] + y, q["box"][2] + x, q["box"][3] + y]) for q in widgets]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True), ap.add_argument("--n", type=int, default=1000), ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    from windows import FONTS
    os.makedirs(a.out, exist_ok=True)
    r, c, t0 = random.Random(a.seed), Chromium(), time.time()
    k0 = len([f for f in os.listdir(a.out) if f.endswith(".png")])
    index = open(f"{a.out}/index.jsonl", "a")
    for k in range(k0, k0 + a.n):
        if k % 12 == 0:
            w, h = r.choice(SIZES)
            scale = r.choice([1, 1, 1, 1, .9, 1.1, 1.25, 1.5])
        labels = LabelSource(r, .12, .05)
        framed = r.random() < .22
        iw, ih = (r.randint(int(.65 * w), w), r.randint(int(.65 * h), h - 28)) if framed else (w, h)
        im, words, widgets = c.render(page(r, labels, iw / scale, ih / scale), iw, ih, scale)
        words, widgets = [x for x in words], widgets
        iw, ih = im.size
        ws, ok = to_sample(im, words, widgets)
        if framed:
            keep = {tuple(q["box"]) for q in ok}
            widgets = [q for q in widgets if tuple(round(v, 1) for v in q["box"]) in keep]
            words = [x for x in words if 0 <= x[3] < ih and x[1] < iw and x[2] > 0]
            im, words, widgets = decorate(r, im, words, widgets, labels, w, h, [f for f, _ in FONTS[:2]])
            im = im.crop((0, 0, w, h))
            ws, ok = to_sample(im, words, widgets)
        if not ok:
            continue
        im.save(f"{a.out}/{k:05d}.png", compress_level=3)
        index.write(json.dumps(dict(file=f"{k:05d}.png", width=im.width, height=im.height, words=ws, widgets=ok)) + "\n")
        if k % 100 == 99:
            index.flush()
            print(k + 1, f"{(time.time() - t0) / (k + 1 - k0):.3f} s each", flush=True)
    c.close()


if __name__ == "__main__":
    main()
