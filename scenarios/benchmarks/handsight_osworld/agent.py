"""An agent of OSWorld that asks `handsight serve` what to do, one screenshot at a time."""

import logging
import struct
import uuid

from handsight_osworld.actions import NotPossible, as_code, as_computer_13

BENCHMARK = "osworld"
WAIT = {"action": "wait", "time": 1.0}
DONE = {"action": "terminate", "status": "success"}


class HandsightAgent:
    """Holds one episode of the server for each task; `reset` begins the next.

    `predict` never raises: what goes wrong is a wait, and said in the response. An episode that ends without a claim
    of the model (it gave no usable action, say) is `DONE` and not `FAIL`: OSWorld counts `FAIL` as right where a task
    is infeasible, which an agent that broke has not found out.
    """

    def __init__(self, client, action_space="pyautogui", max_steps=15, seed=None, platform="ubuntu", **_):
        if action_space not in ("pyautogui", "computer_13"):
            raise ValueError(f"there is no action space `{action_space}`, but `pyautogui` and `computer_13`")
        self.action_space, self.platform, self.observation_type = action_space, platform, "screenshot"
        self._client, self._max_steps, self._seed = client, max_steps, seed
        self._episode = self._instruction = None
        self._results, self._steps = [], 0
        self.thoughts, self.actions, self.observations = [], [], []

    def reset(self, *_, **__):
        """Ends the task; loggers and addresses that OSWorld passes are not needed."""
        self._end()
        self.thoughts, self.actions, self.observations = [], [], []

    def predict(self, instruction, obs):
        """Returns the response, a dictionary with the thought and the cost, and actions of the action space."""
        response = {"request_id": uuid.uuid4().hex, "thought": None, "raw_output": None, "stop_reason": None,
                    "usage": None, "model": None, "error": None}
        try:
            actions = self._ask(instruction, obs, response)
        except Exception as error:  # pylint: disable=broad-exception-caught
            logging.warning("a step failed", exc_info=error)
            response["error"] = f"{type(error).__name__}: {error}"
            actions = self._written(WAIT)
        self.thoughts.append(response["thought"])
        self.actions.append(actions)
        return response, actions

    def _ask(self, instruction, obs, response):
        picture = obs["screenshot"]
        if self._episode is None or self._instruction != instruction:
            self._end()
            self._episode = self._client.begin(
                instruction, "desktop", benchmark=BENCHMARK, max_steps=self._max_steps, seed=self._seed,
                screen=list(png_size(picture)),
            )
            self._instruction = instruction
        answer = self._client.step(
            self._episode["episode"], picture, request_id=response["request_id"], step=self._steps,
            last_results=self._results or None,
        )
        self._steps += 1
        for name in ("thought", "raw_output", "stop_reason", "usage", "model"):
            response[name] = answer[name]
        if answer["error"] is not None:
            response["error"] = answer["error"]["message"]
        self._results, written = [], []
        for action in answer["actions"]:
            # An answer is for whoever asked: the response has it, and the status after it ends the task.
            if action["action"] in ("answer", "call_user"):
                response["answer"] = action.get("text")
                continue
            try:
                written += self._written(action)
                self._results.append({"ok": True})
            except NotPossible as problem:
                self._results.append({"ok": False, "error": str(problem)})
                response["error"] = str(problem)
        if answer["done"] and not any(action["action"] == "terminate" for action in answer["actions"]):
            written += self._written(DONE)
        return written or self._written(WAIT)

    def _written(self, action):
        return [as_code(action)] if self.action_space == "pyautogui" else as_computer_13(action)

    def _end(self):
        episode, self._episode, self._instruction = self._episode, None, None
        self._results, self._steps = [], 0
        if episode is not None:
            try:
                self._client.end(episode["episode"])
            except Exception as error:  # pylint: disable=broad-exception-caught
                logging.warning("the episode was not ended: %s", error)


def png_size(data):
    """Returns the width and the height that a PNG says it has."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        raise ValueError("the screenshot is no PNG")
    return struct.unpack(">II", data[16:24])
