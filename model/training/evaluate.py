"""Scores cases.jsonl by greedy free generation with Wilson 95 % intervals per set, kind, toolkit and size.

python evaluate.py --state STATE [--tower STATE] --cases ../../tests/fixtures/embedded_eval [--set a] [--every 1]
python evaluate.py --hf ../embedded ...        through transformers' own class (slower)

A case counts when the action has the right verb and its point lies inside the hit box; an absent case when the answer
is terminate with failure. The false-click rate is the share of absent cases answered with a pointing action.
"""
import argparse
import json
import math

import numpy as np
import torch
from PIL import Image

from export import load
from generate import answers, parse
from instructions import user_text

POINTING = ("left_click", "double_click", "right_click")


def wilson(k, n, z=1.96):
    if not n:
        return 0.0, 0.0
    p, d = k / n, 1 + z * z / n
    m, s = (p + z * z / (2 * n)) / d, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return m - s, m + s


def resized(im, factor=28, limit=800 * 616):
    w, h = max(factor, round(im.width / factor) * factor), max(factor, round(im.height / factor) * factor)
    assert w * h <= limit
    return im if (w, h) == im.size else im.resize((w, h), Image.BICUBIC)


def judge(case, text, w, h):
    _, a = parse(text)
    a = a if isinstance(a, dict) else {}
    if case["box"] is None:
        return a == {"action": "terminate", "status": "failure"}, a.get("action") in POINTING
    if a.get("action") != case["verb"] or not isinstance(a.get("coordinate"), list):
        return False, False
    x, y = a["coordinate"][0] * case["width"] / w, a["coordinate"][1] * case["height"] / h
    x0, y0, x1, y1 = case["box"]
    return x0 <= x <= x1 and y0 <= y <= y1, False


def size_bucket(c):
    p = c["width"] * c["height"]
    return "≤ 400×300" if p <= 120000 else "≤ 500×400" if p <= 200000 else "≤ 640×480"


def score(cases, folder, answer_all, verbose=False):
    by_image, tally, wrong, false_clicks = {}, {}, [], 0
    for c in cases:
        by_image.setdefault(c["image"], []).append(c)
    for image, cs in by_image.items():
        im = resized(Image.open(f"{folder}/{image}").convert("RGB"))
        for c, text in zip(cs, answer_all(im, [user_text(c["goal"], c["done"]) for c in cs])):
            ok, clicked = judge(c, text, *im.size)
            false_clicks += clicked
            keys = [("set", c["set"])]
            if c["set"] in "ab":
                keys += [(f"kind ({c['set']})", c["kind"]), (f"size ({c['set']})", size_bucket(c)), (f"toolkit ({c['set']})", c["toolkit"])]
            for k in keys:
                t = tally.setdefault(k, [0, 0])
                t[0] += ok
                t[1] += 1
            if not ok:
                wrong.append((c, text))
    return tally, wrong, false_clicks


def main():
    ap = argparse.ArgumentParser()
    A = ap.add_argument
    A("--state"), A("--tower"), A("--hf"), A("--cases", default="../../tests/fixtures/embedded_eval"), A("--set"), A("--every", type=int, default=1)
    A("--show", type=int, default=0), A("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    cases = [json.loads(x) for x in open(f"{a.cases}/cases.jsonl", encoding="utf8")]
    cases = [c for c in cases if not a.set or c["set"] == a.set]
    if a.every > 1:
        keep = sorted({c["image"] for c in cases})[::a.every]
        cases = [c for c in cases if c["image"] in set(keep)]
    if a.hf:
        from check_export import Transformers
        hf = Transformers(a.hf)
        answer_all = lambda im, users: [hf.answer(im, u) for u in users]
    else:
        m = load(a.state, a.tower)
        answer_all = lambda im, users: answers(m, torch.from_numpy(np.array(im)), users)
    tally, wrong, false_clicks = score(cases, a.cases, answer_all)
    for (group, name), (k, n) in sorted(tally.items()):
        lo, hi = wilson(k, n)
        print(f"{group:14s} {name:10s} {k:4d}/{n:<4d} {k / n:.3f}  [{lo:.3f}, {hi:.3f}]")
    absent = sum(c["box"] is None for c in cases)
    if absent:
        print(f"false clicks on absent labels: {false_clicks}/{absent}")
    for c, text in wrong[:a.show]:
        print(c["id"], c["image"], repr(c["goal"]), c["kind"], c["box"], "->", repr(text))


if __name__ == "__main__":
    main()
