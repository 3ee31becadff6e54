"""Judges made-up answers with the published scorers' own code and writes down what they say.

    python scorers.py --screenspot-pro DIR --vlmevalkit DIR --lmms-eval DIR --clawgui DIR --google-research DIR \
        --opencua DIR --opencua-paper DIR

Each DIR is a checkout of that repository, at the revision UPSTREAM names. Functions are taken out of their files
and run as they are; only what those files import of models, progress bars and pictures is stood in for. Needs numpy.
"""
import argparse
import ast
import collections
import copy
import hashlib
import itertools
import json
import math
import os
import random
import re
import sys
import typing

import numpy as np

sys.stdout, OUT = open(os.devnull, "w"), sys.stdout
UPSTREAM = [
    "likaixin2000/ScreenSpot-Pro-GUI-Grounding 588f1f2", "open-compass/VLMEvalKit 055911d", "EvolvingLMMs-Lab/lmms-eval 6c3e853",
    "ZJU-REAL/ClawGUI 4dee5c1", "google-research/google-research 1d49f2c", "xlang-ai/OpenCUA 60da8b9", "xlang-ai/OpenCUA 913e21e",
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


def desktop_step(r, at):
    """a step of AgentNetBench, in its own form"""
    share = lambda: round(r.uniform(0.02, 0.98), 4)

    def placed(kind):
        x, y, boxes = share(), share(), []
        if r.random() < .7:
            w, h = r.uniform(.005, .2), r.uniform(.005, .1)
            boxes = [dict(category_id=1, rel_bbox=[x - w * r.random(), y - h * r.random(), w, h])]
        return dict(type=kind, params=dict(position=dict(x=x, y=y)), metadata=dict(bboxes=boxes))

    keys = lambda kind, keys: dict(type=kind, params=dict(keys=keys), metadata={})
    text = lambda: dict(type="write", params={r.choice(["text", "content"]): r.choice(["SPOTIFY", "help me polish this", "a=1, b=2", "don't", "x"])}, metadata={})
    way = lambda: r.choice([
        lambda: [placed("click")], lambda: [placed("click")], lambda: [placed("click")], lambda: [placed(r.choice(["doubleClick", "rightClick", "tripleClick"]))],
        lambda: [placed("moveTo"), placed("dragTo")], lambda: [placed("moveTo"), dict(type="scroll", params=dict(amount=r.choice([-54, -5, 5])))],
        lambda: [dict(type="scroll", params=dict(direction=r.choice(["up", "down"])), metadata={})], lambda: [text()],
        lambda: [text(), keys(r.choice(["press", "hotkey"]), [r.choice(["enter", "Return", "tab"])])],
        lambda: [keys("hotkey", r.choice([["ctrl", "c"], ["ctrl", "shift", "t"]]))], lambda: [keys("press", r.choice([["enter"], ["down", "down"]]))],
        lambda: [dict(type="terminate", params=dict(status=r.choice(["success", "failure"])))],
    ])()
    return dict(step_num=at, image="screen.png", milestone=False, inner_monologue=dict(low_level_instruction=f"Do {at}."),
                ground_truth_actions=way(), alternative_options=[way()] if r.random() < .3 else [])


def desktop_answer(r, step):
    """calls of computer_use that do what the step does, nearly, or something like it"""
    call = lambda **a: "<tool_call>\n" + json.dumps(dict(name=r.choice(["computer_use"] * 12 + ["mobile_use"]), arguments=a)) + "\n</tool_call>"
    calls = []
    for action in r.choice([step["ground_truth_actions"]] * 4 + step["alternative_options"]):
        kind, params = action["type"], action["params"]
        if "position" in params:
            off = r.choice([0, 0, .008, .02, .3])
            at = [round((params["position"][a] + r.uniform(-off, off)) * side) for a, side in (("x", 1024), ("y", 768))]
            named = dict(click="left_click", doubleClick="double_click", rightClick="right_click", tripleClick="triple_click", moveTo="mouse_move", dragTo="left_click_drag")[kind]
            calls.append(call(action=r.choice([named] * 5 + ["left_click"]), coordinate=r.choice([at] * 12 + [at + at, [str(a) for a in at]])))
        elif kind == "write":
            words = params.get("text", params.get("content"))
            calls.append(call(action="type", text=r.choice([words, words, words.lower(), words[:-1], words[1:4], words + "!?!", words + "\n", 'say "it"', "a\nb", "keys=[a]", 5])))
        elif kind in ("press", "hotkey"):
            keys = params["keys"]
            calls.append(call(action="key", keys=r.choice([keys, keys, keys[::-1], keys[:1], ["cmd", "c"], [str(keys)], str(keys), "+".join(keys), ["keys=[" + keys[0], keys[-1] + "]"], [k.upper() for k in keys], []])))
        elif kind == "scroll":
            calls.append(call(action="scroll", pixels=r.choice([params.get("amount", -5), 3, -3, 0, 7.5, "-5"])))
        else:
            calls.append(call(action="terminate", status=params["status"]))
    if r.random() < .15:
        calls.append(r.choice([call(action="wait", time=1), call(action="left_click", coordinate=[5, 5]), call(action="type"), call(action="scroll", pixels=-5), "<tool_call>{</tool_call>", "<tool_call>[1]</tool_call>"]))
    joined = r.choice(["\n", "\nThought: then\n"]).join(calls)
    bare = joined.replace("<tool_call>\n", "").replace("\n</tool_call>", "")
    return r.choice([joined] * 8 + [bare, "Thought: so\nAction: click it\n" + bare, "I am done.", ""])


def agentnet(now, paper, r):
    """both revisions' scores of the same answers, read by its agent for Qwen2.5-VL; what `run.py` does between the two is done here"""
    quiet = type("Logger", (), {n: staticmethod(lambda *a: None) for n in ("warning", "error")})
    agent = functions(f"{paper}/AgentNetBench/agent/qwen25vl.py", {"Qwen25VL"}, BaseAgent=object, logger=quiet)["Qwen25VL"]()
    distance = functions(f"{now}/evaluation/agentnetbench/eval.py", {"ActionEvaluator"}, math=math, defaultdict=collections.defaultdict, editdistance=None)["ActionEvaluator"]().edit_distance
    scorers = dict(
        agentnet=functions(f"{now}/evaluation/agentnetbench/eval.py", {"ActionEvaluator"}, math=math, defaultdict=collections.defaultdict, editdistance=None)["ActionEvaluator"](),
        agentnet_paper=functions(f"{paper}/AgentNetBench/eval.py", {"ActionEvaluator"}, math=math, defaultdict=collections.defaultdict,
                                 editdistance=type("E", (), dict(eval=staticmethod(distance))))["ActionEvaluator"](),
    )
    episodes = [dict(task_id=f"e{k}", high_level_task_description="Play the song", steps=[desktop_step(r, at) for at in range(40)]) for k in range(10)]
    raws = [[desktop_answer(r, step) for step in episode["steps"]] for episode in episodes]
    table = dict(episodes=episodes, raws=raws)
    for name, scorer in scorers.items():
        scores, kinds, others = [], collections.defaultdict(list), 0
        for episode, answers in zip(episodes, raws):
            for step, raw in zip(episode["steps"], answers):
                best = dict(total=0, actions={})
                try:
                    said = agent.extract_actions(agent.parse_response(raw))
                except Exception:
                    said = []
                if said:
                    best = scorer.evaluate_action(copy.deepcopy(dict(ground_truth_actions=step["ground_truth_actions"], predicted_actions=said)))
                    used = step["ground_truth_actions"]
                    for way in step["alternative_options"] if best["total"] < 1.0 else []:
                        score = scorer.evaluate_action(copy.deepcopy(dict(ground_truth_actions=way, predicted_actions=said)))
                        if score["total"] > best["total"]:
                            best, used = score, way
                    others += used != step["ground_truth_actions"]
                scores.append(best["total"])
                for kind, score in best["actions"].items():
                    kinds[kind].append(score)
        table[name] = dict(scores=scores, totals=dict(total_trajectories=len(episodes), total_steps=len(scores), average_score=sum(scores) / len(scores), alternative_matches=others,
                           alternative_match_percentage=others / len(scores) * 100, action_type_scores={k: sum(v) / len(v) for k, v in kinds.items()}))
    return table


def main():
    ap = argparse.ArgumentParser()
    for name in ("screenspot-pro", "vlmevalkit", "lmms-eval", "clawgui", "google-research", "opencua", "opencua-paper"):
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
        agentnet=agentnet(a.opencua, a.opencua_paper, r),
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
    print(len(items), "answers,", len(table["aitw"]), "steps and", len(table["agentnet"]["agentnet"]["scores"]), "at a desktop judged", file=OUT)


if __name__ == "__main__":
    main()
