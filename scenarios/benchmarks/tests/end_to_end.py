"""Both agents against a running `handsight serve` with its embedded model, on one picture of a screen.

Usage: end_to_end.py URL PNG RGB WIDTH HEIGHT GOAL LEFT TOP RIGHT BOTTOM: the goal is to click what is in that box.
RGB are the pixels of the PNG, row by row. `android_world` is the package, or the double beside this file.
"""

import re
import sys

from android_world.env import interface
from handsight_android_world import HandsightAgent as Phone
from handsight_episodes import EpisodeClient
from handsight_osworld import HandsightAgent as Desktop
from pixels import Pixels

URL, PNG, RGB, WIDTH, HEIGHT, GOAL, *BOX = sys.argv[1:]
WIDTH, HEIGHT, (LEFT, TOP, RIGHT, BOTTOM) = int(WIDTH), int(HEIGHT), map(float, BOX)
client = EpisodeClient(URL, timeout=120)


def check(x, y):
    assert LEFT <= int(x) < RIGHT and TOP <= int(y) < BOTTOM, f"({x}, {y}) is outside of {BOX}"


with open(PNG, "rb") as file:
    response, actions = Desktop(client).predict(GOAL, {"screenshot": file.read()})
assert response["error"] is None and response["usage"]["image_tokens"] > 0, response
check(*re.fullmatch(r"pyautogui\.click\((\d+), (\d+)\)", actions[0]).groups())


class Env(interface.AsyncAndroidEnv):
    """A phone that shows the picture."""

    foreground_activity_name = "com.example/.Main"
    logical_screen_size = (WIDTH, HEIGHT)

    def __init__(self):
        super().__init__(None)
        self.did = []

    def get_state(self, wait_to_stabilize=False):
        with open(RGB, "rb") as file:
            return interface.State(Pixels(WIDTH, HEIGHT, file.read()), None, [])

    def execute_action(self, action):
        self.did.append(action)


env = Env()
agent = Phone(env, client, transition_pause=0.0)
agent.set_max_steps(5)
result = agent.step(GOAL)
agent.close()
assert result.data["error"] is None and not result.done, result
(click,) = env.did
assert click.action_type == "click" and result.data["performed"][0]["how"] == "standard", result
check(click.x, click.y)
print("ok benchmarks")
