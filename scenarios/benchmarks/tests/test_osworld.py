"""What OSWorld is given, run against a `pyautogui` that writes down its calls, and what a task becomes."""

import time
import unittest
from unittest import mock

from handsight_episodes import EpisodeClient, png
from handsight_osworld import HandsightAgent
from handsight_osworld.actions import NotPossible, as_code, as_computer_13
from pixels import Pixels
from server import ScriptedServer, answer

CLICK = {"action": "left_click", "coordinate": [5, 6]}
DONE = {"action": "terminate", "status": "success"}
OBS = {"screenshot": png(Pixels(30, 20)), "accessibility_tree": None}

# Every verb of a desktop, what its code calls, and its computer_13.
TABLE = [
    (CLICK, ["click(5, 6)"], [("CLICK", {"button": "left", "x": 5, "y": 6, "num_clicks": 1})]),
    ({"action": "right_click", "coordinate": [5, 6]}, ["click(5, 6, button='right')"],
     [("CLICK", {"button": "right", "x": 5, "y": 6, "num_clicks": 1})]),
    ({"action": "middle_click", "coordinate": [5, 6]}, ["click(5, 6, button='middle')"],
     [("CLICK", {"button": "middle", "x": 5, "y": 6, "num_clicks": 1})]),
    ({"action": "double_click", "coordinate": [5, 6]}, ["doubleClick(5, 6)"], [("DOUBLE_CLICK", {"x": 5, "y": 6})]),
    ({"action": "triple_click", "coordinate": [5, 6]}, ["tripleClick(5, 6)"],
     [("CLICK", {"button": "left", "x": 5, "y": 6, "num_clicks": 3})]),
    ({"action": "mouse_move", "coordinate": [5, 6]}, ["moveTo(5, 6)"], [("MOVE_TO", {"x": 5, "y": 6})]),
    ({"action": "long_press", "coordinate": [5, 6], "time": 0.01}, ["moveTo(5, 6)", "mouseDown()", "mouseUp()"],
     [("MOVE_TO", {"x": 5, "y": 6}), ("MOUSE_DOWN", {"button": "left"}), ("WAIT", None),
      ("MOUSE_UP", {"button": "left"})]),
    ({"action": "drag", "coordinate": [5, 6], "coordinate2": [7, 8]},
     ["moveTo(5, 6)", "dragTo(7, 8, duration=0.5, button='left')"],
     [("MOVE_TO", {"x": 5, "y": 6}), ("DRAG_TO", {"x": 7, "y": 8})]),
    ({"action": "scroll", "direction": "down", "amount": 3}, ["vscroll(-3)"], [("SCROLL", {"dx": 0, "dy": -3})]),
    ({"action": "scroll", "coordinate": [5, 6], "direction": "right", "amount": 2}, ["moveTo(5, 6)", "hscroll(2)"],
     [("MOVE_TO", {"x": 5, "y": 6}), ("SCROLL", {"dx": 2, "dy": 0})]),
    ({"action": "type", "text": "it's \"a\\b\"\n"}, ["write('it\\'s \"a\\\\b\"\\n', interval=0.02)"],
     [("TYPING", {"text": "it's \"a\\b\"\n"})]),
    ({"action": "key", "keys": ["enter"]}, ["press('enter')"], [("PRESS", {"key": "enter"})]),
    ({"action": "key", "keys": ["ctrl", "page_up"]}, ["hotkey('ctrl', 'pageup')"],
     [("HOTKEY", {"keys": ["ctrl", "pageup"]})]),
]


def calls(code):
    """Runs code and returns what it called, in words."""
    stub, clipboard = mock.Mock(), mock.Mock()
    with mock.patch.dict("sys.modules", pyautogui=stub, pyperclip=clipboard):
        # Code of a model's making runs in OSWorld's machine; this is ours, on a stand-in.
        exec(f"import pyautogui; import time; pyautogui.FAILSAFE = False; {code}", {})
    words = []
    for name, args, kwargs in clipboard.mock_calls + stub.mock_calls:
        listed = [repr(arg) for arg in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
        words.append(f"{name}({', '.join(listed)})")
    return words


class Actions(unittest.TestCase):
    def test_code_calls_what_the_action_is(self):
        for action, called, _ in TABLE:
            self.assertEqual(calls(as_code(action)), called, action)

    def test_computer_13_says_the_same(self):
        for action, _, objects in TABLE:
            written = [(found["action_type"], found.get("parameters")) for found in as_computer_13(action)]
            self.assertEqual(written, objects, action)

    def test_what_pyautogui_cannot_type_is_pasted_or_refused(self):
        typing = {"action": "type", "text": "Jos\u00e9 '\u4e2d'"}
        self.assertEqual(calls(as_code(typing)), ["copy(\"Jos\u00e9 '\u4e2d'\")", "hotkey('ctrl', 'v')"])
        with self.assertRaises(NotPossible):
            as_computer_13(typing)
        for write in (as_code, as_computer_13):
            with self.assertRaises(NotPossible):
                write({"action": "open_app", "app": "Clock"})

    def test_the_end_and_a_wait_are_words(self):
        for action, word in [({"action": "wait", "time": 2.0}, "WAIT"), (DONE, "DONE"),
                             ({"action": "terminate", "status": "failure"}, "FAIL")]:
            self.assertEqual(as_code(action), word)
            self.assertEqual(as_computer_13(action), [{"action_type": word}])

    def test_a_long_press_is_as_long_as_it_is_meant(self):
        begun = time.monotonic()
        calls(as_code({"action": "long_press", "coordinate": [1, 1], "time": 0.2}))
        self.assertGreaterEqual(time.monotonic() - begun, 0.2)


class Agent(unittest.TestCase):
    def play(self, script, **options):
        with ScriptedServer(script) as server:
            self.server = server
            agent = HandsightAgent(EpisodeClient(server.url, retries=0), **options)
            agent.reset(None, vm_ip="10.0.0.1")
            told = [agent.predict("open the menu", OBS) for _ in range(len(script))]
            agent.reset()
            return told

    def test_a_task_is_an_episode(self):
        first, last = self.play([answer(CLICK), answer(DONE, done=True)], max_steps=3, seed=1)
        self.assertEqual((first[1], last[1]), (["pyautogui.click(5, 6)"], ["DONE"]))
        self.assertEqual((first[0]["thought"], first[0]["error"]), ("because", None))
        begun = self.server.begun[0]
        self.assertEqual((begun["platform"], begun["max_steps"], begun["screen"]), ("desktop", 3, [30, 20]))
        self.assertEqual([seen["step"] for seen in self.server.seen], [0, 1])
        self.assertEqual(self.server.seen[0]["png"], OBS["screenshot"])
        self.assertEqual(self.server.ended, ["episode_1"])

    def test_the_other_action_space(self):
        ((_, actions),) = self.play([answer(CLICK)], action_space="computer_13")
        self.assertEqual(actions[0]["action_type"], "CLICK")
        with self.assertRaises(ValueError):
            HandsightAgent(None, action_space="som")

    def test_what_goes_wrong_is_a_wait_with_the_reason(self):
        first, second = self.play([500, answer(CLICK)])
        self.assertEqual((first[1], first[0]["error"]), (["WAIT"], "ServerError: refused with 500"))
        self.assertEqual(second[1], ["pyautogui.click(5, 6)"])
        agent = HandsightAgent(EpisodeClient("http://127.0.0.1:1", retries=0))
        response, actions = agent.predict("do it", {"screenshot": b"no picture"})
        self.assertEqual((actions, response["error"]), (["WAIT"], "ValueError: the screenshot is no PNG"))

    def test_an_agent_that_broke_does_not_say_that_the_task_is_infeasible(self):
        problem = {"message": "the model gave no usable action", "code": "invalid_replies"}
        ((response, actions),) = self.play([answer(done=True, error=problem)])
        self.assertEqual((actions, response["error"]), (["DONE"], "the model gave no usable action"))

    def test_an_answer_is_in_the_response_and_the_end(self):
        ((response, actions),) = self.play([answer({"action": "answer", "text": "42"}, DONE, done=True)])
        self.assertEqual((actions, response["answer"]), (["DONE"], "42"))


if __name__ == "__main__":
    unittest.main()
