"""Prints what AndroidWorld's own JSONAction makes of some objects, for actions/src/json_action/table.json.

    git clone https://github.com/google-research/android_world
    python3 tests/peers/json_action_table.py android_world > actions/src/json_action/table.json

The file it runs needs nothing but Python. Each row has an object as an agent would write it, and either
what JSONAction writes back or that it refuses. After those that were written by hand come many that are drawn.
"""

import importlib.util
import json
import pathlib
import random
import sys

CASES = [
    {"action_type": "click", "x": 540, "y": 1200},
    {"action_type": "click", "index": "7"},
    {"action_type": "click", "index": 7, "x": 1, "y": 2},
    {"action_type": "double_tap", "x": 1, "y": 2},
    {"action_type": "long_press", "x": 1, "y": 2},
    {"action_type": "scroll", "direction": "down"},
    {"action_type": "scroll", "direction": "up", "index": 0},
    {"action_type": "scroll", "direction": "Down"},
    {"action_type": "swipe", "direction": "left"},
    {"action_type": "input_text", "text": "José 中文 😀", "x": 3, "y": 4},
    {"action_type": "input_text", "text": 42, "x": 3, "y": 4},
    {"action_type": "input_text", "text": "a", "x": 3, "y": 4, "clear_text": True},
    {"action_type": "navigate_home"},
    {"action_type": "navigate_back"},
    {"action_type": "keyboard_enter"},
    {"action_type": "open_app", "app_name": "Simple Calendar Pro"},
    {"action_type": "status", "goal_status": "complete"},
    {"action_type": "status", "goal_status": "infeasible"},
    {"action_type": "wait"},
    {"action_type": "answer", "text": "42"},
    {"action_type": "unknown"},
    {"action_type": "press_keyboard", "keycode": "KEYCODE_A"},
    {"action_type": "click", "keycode": "A"},
    {"action_type": "click", "keycode": "KEYCODE_A"},
    {"action_type": "tap", "x": 1, "y": 2},
    {"action_type": "click", "coordinate": [1, 2]},
    {"x": 1, "y": 2},
]

TYPES = [
    "click", "double_tap", "scroll", "swipe", "input_text", "navigate_home", "navigate_back", "keyboard_enter",
    "open_app", "status", "wait", "long_press", "answer", "unknown",
]
TEXTS = ["a", "Ada Lovelace", "line\nline", "\"quoted\" \\", "\u00e9 \u4e2d\u6587 \U0001f600", " ", 7, -3, 2.5]


def drawn(draw):
    """Returns an object of any kind; most are well formed."""
    case = {"action_type": draw.choice(TYPES + ["Click", "drag"])}
    places = draw.random()
    if places < 0.6:
        case |= {"x": draw.randint(-5, 1080), "y": draw.randint(-5, 2400)}
    elif places < 0.8:
        case["index"] = draw.choice([0, 7, "12", -1])
        if draw.random() < 0.2:
            case["x"] = 1
    for name, values in {
        "text": TEXTS,
        "direction": ["left", "right", "up", "down", "LEFT", "forward"],
        "goal_status": ["complete", "infeasible", "done"],
        "app_name": ["Clock", "simple calendar pro", "\u00d6PNV"],
        "keycode": ["KEYCODE_BACK", "KEYCODE_", "BACK"],
        "clear_text": [True, False],
    }.items():
        if draw.random() < 0.25:
            case[name] = draw.choice(values)
    # JSON has an order of its own, and JSONAction writes in its.
    names = list(case)
    draw.shuffle(names)
    return {name: case[name] for name in names}


def main():
    path = pathlib.Path(sys.argv[1]) / "android_world" / "env" / "json_action.py"
    spec = importlib.util.spec_from_file_location("json_action", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = []
    draw = random.Random(20)
    for case in CASES + [drawn(draw) for _ in range(400)]:
        try:
            row = {"read": case, "written": module.JSONAction(**case).json_str()}
        except (TypeError, ValueError) as error:
            row = {"read": case, "refused": str(error)}
        rows.append(json.dumps(row))
    print("[\n  " + ",\n  ".join(rows) + "\n]")


if __name__ == "__main__":
    main()
