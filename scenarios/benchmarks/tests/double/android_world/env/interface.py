"""An environment, as far as an agent knows it."""

import dataclasses

from android_world.env import adb_utils


@dataclasses.dataclass(frozen=True)
class State:
    """What an agent sees."""

    pixels: object
    forest: object
    ui_elements: list


class AsyncAndroidEnv:
    """What tests replace most of."""

    interaction_cache = ""

    def __init__(self, controller):
        self._controller = controller

    @property
    def controller(self):
        return self._controller

    def hide_automation_ui(self):
        adb_utils.issue_generic_request("shell settings put system pointer_location 0", self.controller)

    def execute_action(self, action):
        if action.action_type == "answer":
            self.interaction_cache = action.text
