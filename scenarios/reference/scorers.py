"""Judges made-up answers with the published scorers' own code and writes down what they say.

    python scorers.py --screenspot-pro DIR --vlmevalkit DIR --lmms-eval DIR --clawgui DIR --google-research DIR

Each DIR is a checkout of that repository, at the revision UPSTREAM names. Functions are taken out of their files
and run as they are; only what those files import of models, progress bars and pictures is stood in for. Needs numpy.
"""
import argparse
import ast
import collections
import hashlib
import itertools
import json
import os
import random
import re
import sys
import typing

import numpy as np

sys.stdout, OUT = open(os.devnull, "w"), sys.stdout
UPSTREAM = [
    "likaixin2000/ScreenSpot-Pro-GUI-Grounding 588f1f2", "open-compass/VLMEvalKit 055911d", "EvolvingLMMs-Lab/lmms-eval 6c3e853",
    "ZJU-REAL/ClawGUI 4dee5c1", "google-research/google-research 1d49f2c",
]
SIZES = [(1280, 720), (1920, 1080), (2560, 1440), (1080, 2400), (640, 480)]
PLATFORMS = ["mobile", "desktop", "web"]


def functions(path, names, **stand_ins):
    """the functions of those names in a file, and its constants, with names it gets from elsewhere stood in for"""
    tree = ast.parse(open(path).read())
    wanted = [n for n in tree.body if isinstance(n, ast.Assign) or getattr(n, "name", None) in names]
    space = dict(json=json, re=re, os=os, np=np, itertools=itertools, ast=ast, **{n: getattr(typing, n) for n in ("Any", "Dict", "List", "Optional", "Tuple", "Union")})
    space.update(stand_ins)
    wanted = [n for n in wanted if not isinstance(n, ast.Assign) or all(isinstance(m, (ast.Constant, ast.Tuple, ast.UnaryOp)) for m in [n.value])]
    exec(compile(ast.Module(wanted, []), path, "exec"), space)
    return space


def resized(w, h):
    """as transformers' smart_resize with no limit in the way"""
    return round(w / 28) * 28, round(h / 28) * 28


def answer(r, box, size, shown):
    """an answer near a box, in one of the ways models write one; in pixels of what was shown, mostly"""
    x, y, w, h = box
    tx, ty = r.choice([(x + w / 2, y + h / 2), (x, y), (x + w, y + h), (x + w - 1, y + h), (x + w + 1, y), (r.uniform(0, size[0]), r.uniform(0, size[1]))])
    frame = r.choice([shown, shown, shown, size, (1, 1)])
    ax, ay = tx / size[0] * frame[0], ty / size[1] * frame[1]
    n = (lambda v: f"{v:.4f}") if frame == (1, 1) else (lambda v: str(round(v)))
    a, b, c, d = n(ax), n(ay), n(ax + 4), n(ay + 6)
    call = '<tool_call>\n{"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [%s]}}\n</tool_call>'
    return r.choice([
        call % f"{a}, {b}", call % f"{a}, {b}", call % f"{a}, {b}", call % f"{a}, {b}, {c}, {d}", call % f'"{a}", {b}',
        (call % f"{a}, {b}").replace("\n</tool_call>", ""), (call % f"{a}, {b}").replace("}}\n", "}\n"), (call % f"{a}, {b}").replace("</tool_call>", "⚗"),
        f"pyautogui.click(x={a}, y={b})", f"pyautogui.click(x={a}, y={b})", f"pyautogui.click({a}, {b})", f"click(x={a},y={b})", f"x={a}.., y={b}",
        f"({a}, {b})", f"[{a}, {b}]", f"[{a} {b}]", f"<bbox>{a} {b} {c} {d}</bbox>", f"the box is {a} {b} {c} {d}", f"[{a}, {b}, {c}, {d}]",
        f"x: {a}, y: {b}", f"step 1: it is at {a} and {b}", f"<point>{a} {b}</point>", f"<|box_start|>({a},{b})<|box_end|>",
        "[-1, -1]", '<tool_call>\n{"name": "computer_use", "arguments": {"action": "terminate", "status": "failure"}}\n</tool_call>',
        "I cannot find it.", "", "30% of the width, 40% of the height", f"it is {a}",
    ])


def sspro_point(raw, shown):
    """the reading that models/qwen2_5vl.py does at the end of ground_only_positive"""
    cut = raw.rfind("}")
    response = raw[:cut + 1] if cut != -1 else raw
    try:
        coordinates = json.loads(response.split("<tool_call>\n")[1].split("\n</tool_call>")[0])["arguments"]["coordinate"]
        if len(coordinates) == 2:
            x, y = coordinates
        elif len(coordinates) == 4:
            x1, y1, x2, y2 = coordinates
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
        else:
            raise ValueError("Wrong output format")
        return [x / shown[0], y / shown[1]]
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def vlmevalkit(path, items):
    class Frame(list):
        iloc = property(lambda self: self)
        __contains__ = lambda self, key: key in self[0] if isinstance(key, str) else False
        __getitem__ = lambda self, at: [line[at] for line in list(self)] if isinstance(at, str) else list.__getitem__(self, at)

    sizes = {i["image"]: i["size"] for i in items}
    lines = Frame(dict(bbox=i["bbox"], prediction=i["raw"], image_path=i["image"], question="", data_type=i["ui_type"], data_source="", category=i["category"]) for i in items)
    picture = type("Image", (), dict(open=staticmethod(lambda p: type("P", (), dict(size=tuple(sizes[os.path.basename(p)])))())))
    quiet = type("Logger", (), dict(warning=staticmethod(lambda *a: None)))
    space = functions(path, ["parse_bbox_aguvis", "ScreenSpot"], ImageBaseDataset=object, defaultdict=collections.defaultdict, load=lambda f: lines,
                      tqdm=lambda it: it, Image=picture, logger=quiet, dump=lambda table, p: None)
    scorer = space["ScreenSpot"]()
    scorer.img_root = ""
    outcomes = []
    for line in lines:
        one = Frame([line])
        space["load"] = lambda f, one=one: one
        table = scorer.evaluate_point("x.xlsx")
        outcomes.append("format_error" if table["Format_Err_Rate"] else "correct" if table["Overall_Accuracy"] else "wrong")
    space["load"] = lambda f: lines
    return dict(outcomes=outcomes, totals={k: float(v) for k, v in scorer.evaluate_point("x.xlsx").items()})


def screenspot_pro(path, items):
    names = [n.name for n in ast.parse(open(path).read()).body if isinstance(n, ast.FunctionDef)]
    space = functions(path, set(names) - {"main", "parse_args", "build_model"})
    results = []
    for i in items:
        x, y, w, h = i["bbox"]
        said = space["eval_sample_positive_gt"](dict(bbox=[x, y, x + w, y + h], img_size=i["size"]), dict(point=sspro_point(i["raw"], i["shown"])))
        results.append(dict(platform=i["platform"], application=i["application"], group=i["group"], ui_type=i["ui_type"], language="en",
                            gt_type="positive", instruction_style="instruction", correctness=said))
    word = dict(correct="correct", wrong="wrong", wrong_format="format_error")
    return dict(outcomes=[word[q["correctness"]] for q in results], totals=space["evaluate"](results)["metrics"])


def lmms(root, items, task):
    key = f"{task}_action_acc"
    space = functions(f"{root}/lmms_eval/tasks/{task}/utils.py", {"_token_to_float", "_parse_point", "_normalize_bbox_to_xyxy", "_normalize_xyxy", "_parse_bbox",
                      "_parse_img_size", "_point_in_box", f"{task}_process_results"})
    right = []
    for i in items:
        x, y, w, h = i["bbox"]
        doc = dict(bbox=[x, y, w, h] if task == "screenspot_v2" else [x, y, x + w, y + h], image_width=i["size"][0], image_height=i["size"][1], data_type=i["ui_type"], ui_type=i["ui_type"])
        right.append(space[f"{task}_process_results"](doc, [i["raw"]])[key]["correct"])
    share = lambda kind: np.mean([float(ok) for ok, i in zip(right, items) if kind in (None, i["ui_type"])])
    return dict(right=right, totals=dict(action_acc=float(share(None)), text_acc=float(share("text")), icon_acc=float(share("icon"))))


def clawgui(root, items):
    judge = f"{root}/opengui-eval/judge"
    plain = functions(f"{judge}/grounding_judge.py", {"qwen25vl_parse"})["qwen25vl_parse"]
    osworld = functions(f"{judge}/osworld_g_judge.py", {"_is_refusal_output", "qwen25vl_parse", "is_point_in_rectangle", "is_point_in_polygon"}, REFUSAL=(-1, -1))
    of_boxes, of_osworld = [], []
    for i in items:
        x, y, w, h = i["bbox"]
        box = [x, y, x + w, y + h]
        point = plain(i["raw"], i["size"])
        of_boxes.append(None if point is None else osworld["is_point_in_rectangle"](point, box))
        point = osworld["qwen25vl_parse"](i["raw"], i["size"])
        said = None if point is None else "refusal" if point == (-1, -1) else osworld["is_point_in_polygon"](point, i["polygon"])
        of_osworld.append(said)
    return dict(boxes=of_boxes, polygons=of_osworld)


def aitw(root, r):
    jnp = type("jnp", (), {n: staticmethod(getattr(np, n)) for n in ("squeeze", "split", "logical_and", "logical_or", "logical_xor", "stack", "maximum", "minimum", "array", "asarray", "not_equal", "equal", "where", "max", "abs")})
    jnp.linalg = np.linalg
    kinds = type("Lib", (), dict(ActionType=type("ActionType", (), dict(DUAL_POINT=4))))
    names = {"_yx_in_bounding_boxes", "_resize_annotation_bounding_boxes", "is_tap_action", "_is_non_dual_point_action", "_check_tap_actions_match", "_check_drag_actions_match", "check_actions_match"}
    match = functions(f"{root}/android_in_the_wild/action_matching.py", names, jnp=jnp, action_type_lib=kinds)["check_actions_match"]
    cases = []
    for _ in range(200):
        point = lambda: [round(r.uniform(0, 1), 3), round(r.uniform(0, 1), 3)]
        near = lambda p, d: [round(min(1, max(0, v + r.uniform(-d, d))), 3) for v in p]
        touch = point()
        lift = touch if r.random() < .6 else near(touch, .5)
        said = near(touch, r.choice([.02, .12, .5]))
        said_lift = said if r.random() < .6 else near(said, .5)
        boxes = [[round(v, 3) for v in (r.uniform(0, .9), r.uniform(0, .9), r.uniform(.01, .2), r.uniform(.01, .4))] for _ in range(r.randint(1, 6))]
        yx = lambda p: np.array([p[1], p[0]])
        ok = match(yx(said), yx(said_lift), 4, yx(touch), yx(lift), 4, np.array(boxes))
        cases.append(dict(touch=touch, lift=lift, said=said, said_lift=said_lift, boxes=boxes, match=bool(ok)))
    return cases


def main():
    ap = argparse.ArgumentParser()
    for name in ("screenspot-pro", "vlmevalkit", "lmms-eval", "clawgui", "google-research"):
        ap.add_argument(f"--{name}", required=True)
    a = ap.parse_args()
    r = random.Random(611)
    items = []
    for k in range(400):
        size = r.choice(SIZES)
        w, h = r.randint(6, 200), r.randint(6, 80)
        # Some boxes whose extents could be taken for corners, and some at the corner of the picture.
        x, y = r.choice([(r.randint(0, size[0] - w), r.randint(0, size[1] - h)), (r.randint(0, 9), r.randint(0, 9)), (0, 0)])
        shown = resized(*size)
        kind, platform = r.choice(["text", "icon"]), r.choice(PLATFORMS)
        box = [x, y, w, h]
        polygon = [x, y, x + w, y + h // 3, x + w // 2, y + h, x + w // 4, y + h // 2]
        items.append(dict(id=f"i{k:03d}", image=f"{k}.png", size=size, shown=shown, bbox=box, polygon=polygon, ui_type=kind, platform=platform, category=platform.title(),
                          application=r.choice(["blender", "word", "vim"]), group=r.choice(["CAD", "Office"]), raw=answer(r, box, size, shown)))
    table = dict(
        items=items,
        sspro=screenspot_pro(f"{a.screenspot_pro}/eval_screenspot_pro.py", items),
        vlmevalkit=vlmevalkit(f"{a.vlmevalkit}/vlmeval/dataset/GUI/screenspot.py", items),
        lmms_v2=lmms(a.lmms_eval, items, "screenspot_v2"),
        lmms_pro=lmms(a.lmms_eval, items, "screenspot_pro"),
        clawgui=clawgui(a.clawgui, items),
        aitw=aitw(a.google_research, r),
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    folder = f"{root}/tests/golden/benchmark"
    text = json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    with open(f"{folder}/scorers.json", "w") as f:
        f.write(text)
    with open(f"{folder}/MANIFEST.toml", "w") as f:
        f.write("# Written by scenarios/reference/scorers.py; one table per golden beside this file.\n\n"
                f'[golden."scorers.json"]\nscript = "scenarios/reference/scorers.py"\nupstream = "{", ".join(UPSTREAM)}"\n'
                f'sha256 = "{hashlib.sha256(text.encode()).hexdigest()}"\n')
    print(len(items), "answers and", len(table["aitw"]), "steps judged", file=OUT)


if __name__ == "__main__":
    main()
