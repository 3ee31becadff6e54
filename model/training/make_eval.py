"""Makes the held-out evaluation set: real Chromium pages and GTK windows with cases.jsonl.

set a       vocabulary words, new layouts, fonts and themes of the training families
set b       vocabulary words, fonts, themes and layouts kept out of training
set c       labels made of held-out words that have no token (spelled in bytes)
set absent  instructions that name nothing on the screen

python make_eval.py --out ../../tests/fixtures/embedded_eval --seed 990001
"""
import argparse
import json
import os
import random

from instructions import goal_text, steps, user_text
from labels import LabelSource, typed_text
from packing import absent_label
from render_chromium import Chromium
from render_gtk import Display
from screens import candidates, picture
from windows import strip

WANT = {"a": (300, 4), "b": (200, 4), "c": (150, 4)}
VERB = {"click": "left_click", "double": "double_click", "right": "right_click"}


def question(r, q, label):
    kind = q["kind"]
    if kind in ("field", "combo") and r.random() < .35:
        c = dict(op="type", text=typed_text(r), label=label)
    else:
        op = "click" if kind in ("field", "combo") else r.choices(["click", "double", "right"], [9, .7, .5])[0]
        c = dict(op=op, label=label, kind=kind)
    goal = goal_text(r, [c])
    return goal, VERB[steps([c])[0]["op"]]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True), ap.add_argument("--seed", type=int, default=990001)
    a = ap.parse_args()
    os.makedirs(f"{a.out}/img", exist_ok=True)
    r = random.Random(a.seed)
    chromium, display = Chromium(), Display(79)
    cases, n, kinds = [], 0, {}
    for set_, (want, each) in WANT.items():
        have = absent = 0
        while have < want:
            toolkit = "gtk" if n % 3 == 2 else "chromium"
            got = picture(r, toolkit, set_ == "c", set_ == "b", chromium, display)
            if not got:
                continue
            im, words, widgets = got
            ok = candidates(r, im, words, widgets, kinds, 12)
            if not ok:
                continue
            n += 1
            name = f"img/{n:04d}.png"
            im.quantize(256, method=2).save(f"{a.out}/{name}", optimize=True)
            common = dict(toolkit=toolkit, image=name, width=im.width, height=im.height, n_widgets=len(widgets))
            for q in ok[:each]:
                kinds[q["kind"]] = kinds.get(q["kind"], 0) + 1
                goal, verb = question(r, q, q["text"])
                cases.append(dict(id=f"{set_}-{len(cases):04d}", set=set_, **common, goal=goal, done=[], kind=q["kind"], verb=verb, box=q["box"]))
                have += 1
            if set_ in "ab" and r.random() < .8:
                screen = {w[0] for w in words} | {w[0].lower() for w in words} | {strip(w[0]) for w in words}
                label, _ = absent_label(r, LabelSource(r, 0, 0), dict(screen=screen, ask=ok))
                goal, verb = question(r, dict(kind="button"), label)
                cases.append(dict(id=f"absent-{len(cases):04d}", set="absent", **common, goal=goal, done=[], kind="button", verb=verb, box=None))
    with open(f"{a.out}/cases.jsonl", "w") as f:
        for c in cases:
            f.write(json.dumps(c, ensure_ascii=False) + "\n")
    print(len(cases), "cases", n, "pictures", kinds)
    chromium.close(), display.close()


if __name__ == "__main__":
    main()
