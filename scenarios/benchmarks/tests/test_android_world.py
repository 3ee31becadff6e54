"""The agent on an environment whose adb writes down what it is asked for.

`android_world` is the package if it is installed, and the double beside this file otherwise.
"""

import unittest
from types import SimpleNamespace

from android_world.env import interface, json_action
from handsight_android_world import HandsightAgent
from handsight_android_world.actions import STANDARD_VERBS, keycode, scroll_ends, NotPossible
from handsight_episodes import EpisodeClient
from pixels import Pixels
from server import ScriptedServer, answer

WIDTH, HEIGHT = 108, 240
SAID = {"action_type": "click", "x": 5, "y": 6}
CLICK = {"action": "left_click", "coordinate": [5, 6]}
DONE = {"action": "terminate", "status": "success"}
STATUS = {"action_type": "status", "goal_status": "complete"}


class Controller:
    """Writes down what adb is asked for, and answers that all is well or that it is not."""

    def __init__(self):
        self.asked, self.status = [], 1

    def execute_adb_call(self, request):
        words = [str(word) for word in getattr(request.generic, "args", [])] if _has(request, "generic") else []
        if _has(request, "input_text"):
            words = ["type", request.input_text.text]
        if _has(request, "press_button"):
            words = ["press"]
        if words:
            self.asked.append(words)
        return SimpleNamespace(status=self.status, error_message="offline")


def _has(request, field):
    try:
        return request.HasField(field)
    except AttributeError:
        return hasattr(request, field)


class Env(interface.AsyncAndroidEnv):
    """An environment with a screen of one colour."""

    foreground_activity_name = "com.android.settings/.Settings"
    logical_screen_size = (WIDTH, HEIGHT)

    def __init__(self):
        super().__init__(Controller())
        self.did, self.fails = [], None

    def reset(self, go_home=False):
        self.did.append(f"reset {go_home}")

    def get_state(self, wait_to_stabilize=False):
        if self.fails:
            raise RuntimeError(self.fails)
        return interface.State(Pixels(WIDTH, HEIGHT), None, [])

    def execute_action(self, action):
        self.did.append(action.as_dict())
        if action.action_type == json_action.ANSWER:
            super().execute_action(action)


class Agent(unittest.TestCase):
    def play(self, script, steps=None, standard=False, env=None, max_steps=9):
        """Plays an episode as AndroidWorld's runner does; returns the data of its steps."""
        env = self.env = env or Env()
        with ScriptedServer(script) as server:
            self.server = server
            client = EpisodeClient(server.url, retries=0)
            agent = HandsightAgent(env, client, transition_pause=0.0, standard=standard, seed=30)
            agent.reset(go_home=True)
            agent.set_max_steps(max_steps)
            results = []
            for _ in range(steps or len(script)):
                results.append(agent.step("turn it on"))
                self.assertNotIn("step_number", results[-1].data)
            agent.close()
            return results

    def test_what_androidworld_has_an_action_for_is_done_with_it(self):
        script = [answer(CLICK, said=[SAID]), answer(DONE, said=[STATUS], done=True)]
        first, last = self.play(script)
        self.assertEqual(self.env.did, ["reset True", SAID])
        self.assertEqual((first.done, last.done), (False, True))
        self.assertEqual(first.data["performed"], [{"action": CLICK, "how": "standard", "error": None}])
        self.assertEqual((first.data["error"], first.data["thought"]), (None, "because"))
        self.assertRegex(first.data["actuation"], "^[0-9a-f]{16}$")
        begun = self.server.begun[0]
        self.assertEqual((begun["goal"], begun["max_steps"], begun["seed"]), ("turn it on", 9, 30))
        self.assertEqual(begun["screen"], [WIDTH, HEIGHT])
        self.assertNotIn("actions", begun)
        seen = self.server.seen
        self.assertEqual([step["step"] for step in seen], [0, 1])
        self.assertEqual(seen[0]["logical_size"], [WIDTH, HEIGHT])
        self.assertEqual(seen[0]["foreground_activity"], "com.android.settings/.Settings")
        self.assertNotIn("last_results", seen[0])
        self.assertEqual(seen[1]["last_results"], [{"ok": True}])
        self.assertTrue(seen[0]["png"].startswith(b"\x89PNG"))
        self.assertEqual(self.server.ended, ["episode_1"])

    def test_an_answer_is_kept_and_the_status_ends(self):
        actions = [{"action": "answer", "text": "42"}, DONE]
        (last,) = self.play([answer(*actions, said=[{"action_type": "answer", "text": "42"}, STATUS], done=True)])
        self.assertTrue(last.done)
        self.assertEqual(self.env.interaction_cache, "42")

    def test_the_rest_goes_through_adb(self):
        script = [
            answer({"action": "type", "text": "a b\n"}),
            answer({"action": "key", "keys": ["enter"]}),
            answer({"action": "key", "keys": ["ctrl", "a"]}),
            answer({"action": "swipe", "coordinate": [1, 2], "coordinate2": [3, 4]}),
            answer({"action": "drag", "coordinate": [1, 2], "coordinate2": [3, 4]}),
            answer({"action": "long_press", "coordinate": [7, 8], "time": 2.5}),
            answer({"action": "system_button", "button": "menu"}),
            answer({"action": "scroll", "direction": "down", "amount": 3}),
            answer({"action": "wait", "time": 0.0}),
        ]
        results = self.play(script)
        self.assertEqual({done["how"] for step in results for done in step.data["performed"]}, {"adb"})
        asked = self.env.controller.asked[1:]
        self.assertEqual(asked, [
            ["type", "a"], ["type", "%s"], ["type", "b"], ["press"],
            ["shell", "input", "keyevent", "KEYCODE_ENTER"],
            ["shell", "input", "keycombination", "KEYCODE_CTRL_LEFT", "KEYCODE_A"],
            ["shell", "input", "swipe", "1", "2", "3", "4", "500"],
            ["shell", "input", "draganddrop", "1", "2", "3", "4", "1500"],
            ["shell", "input", "swipe", "7", "8", "7", "8", "2500"],
            ["shell", "input", "keyevent", "KEYCODE_APP_SWITCH"],
            ["shell", "input", "swipe", "54", "120", "54", "60", "500"],
        ])

    def test_standard_mode_does_nothing_androidworld_could_not(self):
        drag = {"action": "drag", "coordinate": [1, 2], "coordinate2": [3, 4]}
        typing = {"action": "type", "text": "Jos\u00e9\n"}
        script = [answer(drag), answer(typing), answer(CLICK, said=[SAID]), answer(typing), answer(CLICK, said=[SAID])]
        results = self.play(script, standard=True)
        self.assertEqual(self.server.begun[0]["actions"], STANDARD_VERBS)
        self.assertEqual(self.env.controller.asked[1:], [])
        input_text = {"action_type": "input_text", "x": 5, "y": 6, "text": "Jos\u00e9"}
        self.assertEqual(self.env.did[1:], [SAID, input_text, SAID])
        self.assertEqual([step.data["performed"][0]["how"] for step in results],
                         ["nothing", "nothing", "standard", "standard", "standard"])
        told = [seen["last_results"][0] for seen in self.server.seen[1:]]
        self.assertEqual(told[0], {"ok": False, "error": "AndroidWorld has no action for this drag"})
        self.assertIn("types only where it taps", told[1]["error"])
        self.assertEqual(told[2:], [{"ok": True}, {"ok": True}])

    def test_an_error_of_the_server_is_a_wait_and_never_raised(self):
        first, second = self.play([500, answer(CLICK, said=[SAID])])
        self.assertEqual(first.data["error"], "ServerError: refused with 500")
        self.assertFalse(first.done)
        self.assertEqual(self.env.did[1:], [{"action_type": "wait"}, SAID])
        self.assertIsNone(second.data["error"])
        # The step that was not answered is the one that is due.
        self.assertEqual([seen["step"] for seen in self.server.seen], [0, 0])

    def test_an_error_of_the_environment_is_neither(self):
        env = Env()
        env.fails = "the emulator is gone"
        (step,) = self.play([], steps=1, env=env)
        self.assertEqual(step.data["error"], "RuntimeError: the emulator is gone")
        self.assertEqual(env.did[1:], [{"action_type": "wait"}])

    def test_an_error_of_the_model_ends_the_episode_with_its_reason(self):
        problem = {"message": "the model failed", "code": "policy_failed"}
        (step,) = self.play([answer(done=True, error=problem, stop_reason="policy_failed")])
        self.assertTrue(step.done)
        self.assertEqual((step.data["error"], step.data["stop_reason"]), ("the model failed", "policy_failed"))
        self.assertEqual(self.env.did[1:], [{"action_type": "wait"}])

    def test_what_adb_could_not_do_is_told_to_the_model(self):
        env = Env()
        env.controller.status = 3
        self.play([answer({"action": "key", "keys": ["tab"]}), answer(CLICK, said=[SAID])], env=env)
        told = self.server.seen[1]["last_results"][0]
        self.assertIn("adb could not do `shell input keyevent KEYCODE_TAB`: offline", told["error"])
        typed = answer({"action": "type", "text": "\u4e2d\u6587"})
        self.play([typed, answer(CLICK, said=[SAID])])
        self.assertIn("types ASCII only", self.server.seen[1]["last_results"][0]["error"])
        self.assertEqual(self.env.controller.asked[1:], [])

    def test_every_episode_has_one_of_the_server(self):
        with ScriptedServer([answer(CLICK, said=[SAID])] * 3) as server:
            agent = HandsightAgent(Env(), EpisodeClient(server.url, retries=0), transition_pause=0.0)
            for goal in ("one", "two"):
                agent.reset()
                agent.step(goal)
            agent.step("three")
            self.assertEqual([begun["goal"] for begun in server.begun], ["one", "two", "three"])
            self.assertEqual(server.ended, ["episode_1", "episode_2"])
            self.assertEqual([seen["step"] for seen in server.seen], [0, 0, 0])


class Fingers(unittest.TestCase):
    def test_a_scroll_stays_on_the_screen_and_off_its_edges(self):
        for direction in ("up", "down", "left", "right"):
            for amount in (1, 6, 50):
                for at in (None, [0, 0], [107, 239], [54, 120]):
                    action = {"direction": direction, "amount": amount, "coordinate": at}
                    (x1, y1), (x2, y2) = scroll_ends(action, WIDTH, HEIGHT)
                    self.assertTrue(0 <= min(x1, x2) and max(x1, x2) < WIDTH, action)
                    self.assertTrue(0 <= min(y1, y2) and max(y1, y2) < HEIGHT, action)
                    moved = {"up": y2 > y1, "down": y2 < y1, "left": x2 > x1, "right": x2 < x1}
                    self.assertTrue(moved[direction], action)

    def test_keys_have_androids_names(self):
        self.assertEqual([keycode(key) for key in ("a", "7", "f5", "enter", ",")],
                         ["KEYCODE_A", "KEYCODE_7", "KEYCODE_F5", "KEYCODE_ENTER", "KEYCODE_COMMA"])
        for key in ("\u00e9", "f13", "hyper"):
            with self.assertRaises(NotPossible):
                keycode(key)


if __name__ == "__main__":
    unittest.main()
