"""An agent of AndroidWorld that asks `handsight serve` what to do, one screenshot at a time."""

import hashlib
import inspect
import logging
import time
import uuid

from android_world.agents import base_agent
from android_world.env import actuation, json_action

from handsight_android_world.actions import Hand, NotPossible, STANDARD_VERBS
from handsight_episodes import ServerError, png

PLATFORM = "android"
BENCHMARK = "android_world"

# Steps an episode of the server may have where AndroidWorld has not said.
MOST_STEPS = 1000


class HandsightAgent(base_agent.EnvironmentInteractingAgent):
    """Holds one episode of the server for each episode of AndroidWorld.

    `step` never raises: AndroidWorld leaves episodes that do out of its mean, so that an agent that crashes would score
    better than one that fails. What went wrong becomes a wait, and `error` in the data of that step.

    `standard` keeps to what AndroidWorld's own actions can say. Without it, keys, drags, free swipes and typing without
    an Enter are done through adb; the data of each step says so in `performed`.
    """

    def __init__(self, env, client, name="Handsight", transition_pause=1.0, standard=False, seed=None):
        super().__init__(env, name, transition_pause)
        self._client = client
        self._standard = standard
        self._seed = seed
        self._episode = None
        self._goal = None
        self._results = []
        self._steps = 0
        self._hand = Hand(env, standard)

    def reset(self, go_home=False):
        super().reset(go_home)
        self.env.hide_automation_ui()
        self.close()

    def close(self):
        """Ends the episode of the server, if there is one."""
        episode, self._episode, self._results, self._steps = self._episode, None, [], 0
        self._hand = Hand(self.env, self._standard)
        if episode is not None:
            try:
                self._client.end(episode["episode"])
            except ServerError as error:
                logging.warning("the episode was not ended: %s", error)

    def step(self, goal):
        begun = time.monotonic()
        data = {
            "request_id": uuid.uuid4().hex,
            "thought": None,
            "actions": [],
            "performed": [],
            "raw_output": None,
            "stop_reason": None,
            "usage": None,
            "model": None,
            "latency_ms": None,
            "error": None,
            "standard": self._standard,
            "actuation": actuation_version(),
        }
        done = False
        try:
            done = self._take(goal, data)
        except Exception as error:  # pylint: disable=broad-exception-caught
            logging.exception("a step failed")
            data["error"] = f"{type(error).__name__}: {error}"
            self._wait(data)
        data["latency_ms"] = (time.monotonic() - begun) * 1000
        return base_agent.AgentInteractionResult(done, data)

    def _take(self, goal, data):
        state = self.get_post_transition_state()
        height, width = state.pixels.shape[:2]
        if self._episode is None or self._goal != goal:
            self.close()
            self._episode = self._client.begin(
                goal,
                PLATFORM,
                benchmark=BENCHMARK,
                max_steps=min(self._max_steps or MOST_STEPS, MOST_STEPS),
                seed=self._seed,
                screen=[width, height],
                actions=STANDARD_VERBS if self._standard else None,
            )
            self._goal = goal
        begun = time.monotonic()
        answer = self._client.step(
            self._episode["episode"],
            png(state.pixels),
            request_id=data["request_id"],
            step=self._steps,
            # The server refuses a picture of another size: its points would lead astray.
            logical_size=list(self.env.logical_screen_size),
            foreground_activity=self._foreground(),
            last_results=self._results or None,
        )
        data["decide_ms"] = (time.monotonic() - begun) * 1000
        self._steps += 1
        for name in ("thought", "actions", "raw_output", "stop_reason", "usage", "model"):
            data[name] = answer[name]
        if answer["error"] is not None:
            data["error"] = answer["error"]["message"]
        self._results = [self._perform(*pair, data) for pair in zip(answer["actions"], answer["android_world"])]
        if not answer["actions"]:
            self._wait(data)
        return answer["done"]

    def _perform(self, action, said, data):
        if said is not None and said["action_type"] == json_action.STATUS:
            # AndroidWorld has nothing to do for it: the step is the last.
            data["performed"].append({"action": action, "how": "nothing", "error": None})
            return {"ok": True}
        how, problem = "failed", None
        try:
            how = self._hand.do(action, said)
        except NotPossible as error:
            how, problem = "nothing", str(error)
        except Exception as error:  # pylint: disable=broad-exception-caught
            problem = f"{type(error).__name__}: {error}"
        data["performed"].append({"action": action, "how": how, "error": problem})
        return {"ok": problem is None, **({} if problem is None else {"error": problem[:2000]})}

    def _wait(self, data):
        try:
            self.env.execute_action(json_action.JSONAction(action_type=json_action.WAIT))
        except Exception as error:  # pylint: disable=broad-exception-caught
            data["error"] = f"{data['error']}; {type(error).__name__}: {error}"

    def _foreground(self):
        try:
            return self.env.foreground_activity_name or None
        except Exception:  # pylint: disable=broad-exception-caught
            return None


def actuation_version():
    """Returns what tells one `actuation.py` from another: forks of AndroidWorld change what actions do, and with it
    the scores."""
    return hashlib.sha256(inspect.getsource(actuation).encode()).hexdigest()[:16]
