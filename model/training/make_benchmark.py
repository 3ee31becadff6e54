"""Makes a grounding benchmark of real-toolkit screens: Chromium pages with boxes from the DOM, GTK 3 windows with
boxes from the accessibility tree, compared with the toolkit's own. What is committed is this program and its seed; the pictures are made anew.

    python make_benchmark.py --out DIR                    # 540 screens, 3 046 targets, 195 names of nothing
    handsight eval import DIR/items.jsonl --as handsight --name widgets-v1 -o DIR/dataset

Tags: `group` known (words and themes of training, layouts of another seed), held (fonts, themes and layouts kept
out of training), unknown (words it has no token for), absent (names nothing on the screen); `category` is the
toolkit, `ui_type` the kind of widget. An instruction is the widget's label.

Needs what render_chromium.py and render_gtk.py need (README.md), at-spi2-core and gir1.2-atspi-2.0, no torch.
"""
import argparse
import json
import os
import random
import sys

from labels import LabelSource
from render_chromium import Chromium
from render_gtk import Display
from screens import candidates, picture
from windows import strip

# How far the boxes of the accessibility tree and of the toolkit may be apart, in pixels.
APART = 1
# Screens of each group, and the most targets on one.
WANT = {"known": (220, 6), "held": (180, 6), "unknown": (140, 6)}


def absent_label(r, words):
    """a label none of whose words is on the screen"""
    screen = {strip(w[0]).lower() for w in words}
    source = LabelSource(r, 0, 0)
    while True:
        label = source.label()
        if not {strip(part).lower() for part in label.split()} & screen:
            return label


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True), ap.add_argument("--seed", type=int, default=2026_11_27)
    ap.add_argument("--screens", type=float, default=1.0, help="the share of the screens to make, for a quick look")
    a = ap.parse_args()
    os.makedirs(f"{a.out}/img", exist_ok=True)
    r = random.Random(a.seed)
    chromium, display = Chromium(), Display(79, tree=True)
    items, kinds, n = [], {}, 0
    try:
        for group, (want, each) in WANT.items():
            have = 0
            while have < want * a.screens:
                toolkit = "gtk" if n % 3 == 2 else "chromium"
                got = picture(r, toolkit, group == "unknown", group == "held", chromium, display)
                if not got:
                    continue
                im, words, widgets = got
                ok = candidates(r, im, words, widgets, kinds, 14)
                if not ok:
                    continue
                n, have = n + 1, have + 1
                name = f"img/{n:04d}.png"
                im.quantize(256, method=2).save(f"{a.out}/{name}", optimize=True)
                tags = dict(category=toolkit, group=group)
                for q in ok[:each]:
                    kinds[q["kind"]] = kinds.get(q["kind"], 0) + 1
                    items.append(dict(id=f"{n:04d}-{len(items):05d}", image=name, instruction=q["text"], target=dict(box=q["box"]),
                                      tags=dict(tags, ui_type=q["kind"])))
                if group != "unknown" and r.random() < .5:
                    items.append(dict(id=f"{n:04d}-{len(items):05d}", image=name, instruction=absent_label(r, words), target="refusal",
                                      tags=dict(tags, group="absent", ui_type="absent")))
    finally:
        chromium.close(), display.close()
    with open(f"{a.out}/items.jsonl", "w") as f:
        for item in items:
            f.write(json.dumps(item, ensure_ascii=False) + "\n")
    print(n, "screens", len(items), "items", kinds)
    there = [far for far in display.apart if far is not None]
    print(len(there), "of", len(display.apart), "widgets of GTK are in the accessibility tree; its boxes and the toolkit's are at most", max(there, default=0), "px apart")
    if not there or len(there) < len(display.apart) or max(there) > APART:
        sys.exit("the accessibility tree and the toolkit disagree")


if __name__ == "__main__":
    main()
