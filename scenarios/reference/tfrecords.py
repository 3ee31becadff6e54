"""Writes small sets in the forms of AndroidControl and AITW, with programs that are not ours.

    python tfrecords.py

Records are framed and encoded by the package `tfrecord`, accessibility trees by `android-env`, whose messages
AndroidControl's trees are. Needs tfrecord 1.14.6, crc32c 2.9, android-env 1.2.3, protobuf 5.29.5, numpy and pillow.
"""
import gzip
import hashlib
import io
import json
import os

import numpy as np
from android_env.proto.a11y import android_accessibility_forest_pb2 as a11y
from PIL import Image
from tfrecord.writer import TFRecordWriter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = f"{ROOT}/tests/golden/tfrecords"
UPSTREAM = "tfrecord 1.14.6, android-env 1.2.3"


def shard(name, records):
    path = f"{FOLDER}/{name}"
    writer = TFRecordWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    plain = open(path, "rb").read()
    with open(path, "wb") as f:
        f.write(gzip.compress(plain, mtime=0))
    return name


def text(*words):
    return ([w.encode() for w in words], "byte")


def png(width, height, shade):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 90, 160)).save(out, "PNG")
    return out.getvalue()


def forest(*nodes):
    forest = a11y.AndroidAccessibilityForest()
    window = forest.windows.add(title="App", id=7)
    for at, (visible, box) in enumerate(nodes):
        node = window.tree.nodes.add(unique_id=at, class_name="android.widget.Button", text="ü" * at, is_visible_to_user=visible, depth=at)
        node.bounds_in_screen.left, node.bounds_in_screen.top, node.bounds_in_screen.right, node.bounds_in_screen.bottom = box
        node.actions.add(id=16, label="click")
    return forest.SerializeToString()


def control(episode, goal, steps):
    """an episode of AndroidControl: its steps are what was done, and in what words"""
    shots = [png(108, 240, 10 * episode + at) for at in range(len(steps) + 1)]
    tree = forest((True, (0, 0, 108, 240)), (True, (10, 20, 50, 60)), (False, (0, 0, 9, 9)), (True, (-20, 230, 30, 260)))
    return dict(
        episode_id=(episode, "int"), goal=text(goal), screenshots=(shots, "byte"), accessibility_trees=([tree] * len(shots), "byte"),
        screenshot_widths=([108] * len(shots), "int"), screenshot_heights=([240] * len(shots), "int"),
        actions=text(*[json.dumps(action) for action, _ in steps]), step_instructions=text(*[words for _, words in steps]),
    )


def wild(episode, step, kind, touch, lift, typed=""):
    """a step of AITW, its screenshot as bare pixels"""
    pixels = np.full((60, 30, 3), 40 + step, np.uint8)
    return {
        "episode_id": text(episode), "episode_length": (3, "int"), "step_id": (step, "int"), "goal_info": text("turn on the lights"),
        "image/encoded": ([pixels.tobytes()], "byte"), "image/height": (60, "int"), "image/width": (30, "int"), "image/channels": (3, "int"),
        "image/ui_annotations_positions": ([0.25, 0.5, 0.125, 0.25, 0.5, 0.0, 0.25, 1.0], "float"),
        "image/ui_annotations_text": text("Lights", ""), "image/ui_annotations_ui_types": text("TEXT", "ICON_HOME"),
        "results/action_type": (kind, "int"), "results/type_action": text(typed), "results/yx_touch": (touch, "float"), "results/yx_lift": (lift, "float"),
        "android_api_level": (29, "int"), "device_type": text("pixel_4"), "current_activity": text("com.android"),
    }


def main():
    os.makedirs(FOLDER, exist_ok=True)
    names = [
        shard("android_control-00000-of-00001", [
            control(3, "Wake me at seven", [
                (dict(action_type="open_app", app_name="Clock"), "open the clock"),
                (dict(action_type="click", x=27, y=60), "click on the plus"),
                (dict(action_type="scroll", direction="down"), "scroll down"),
                (dict(action_type="input_text", text="7:00"), "type 7:00"),
                (dict(action_type="long_press", x=54, y=120), "hold the alarm"),
                (dict(action_type="navigate_back"), "go back"),
                (dict(action_type="wait"), "wait"),
            ]),
            control(4, "Find a café", [(dict(action_type="navigate_home"), "go home")]),
        ]),
        shard("general-00000-of-00001", [
            wild("17", 0, 4, [0.75, 0.5], [0.25, 0.5]),
            wild("17", 1, 4, [0.25, 0.5], [0.25, 0.5]),
            wild("17", 2, 3, [-1.0, -1.0], [-1.0, -1.0], "lights"),
            wild("17", 3, 10, [-1.0, -1.0], [-1.0, -1.0]),
        ]),
    ]
    with open(f"{FOLDER}/MANIFEST.toml", "w") as f:
        f.write("# Written by scenarios/reference/tfrecords.py; one table per golden beside this file.\n")
        for name in names:
            digest = hashlib.sha256(open(f"{FOLDER}/{name}", "rb").read()).hexdigest()
            f.write(f'\n[golden."{name}"]\nscript = "scenarios/reference/tfrecords.py"\nupstream = "{UPSTREAM}"\nsha256 = "{digest}"\n')


if __name__ == "__main__":
    main()
