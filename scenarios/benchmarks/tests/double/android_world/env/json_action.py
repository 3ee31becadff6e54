"""The actions that AndroidWorld has."""

import dataclasses

ANSWER, INPUT_TEXT, STATUS, WAIT = "answer", "input_text", "status", "wait"
TYPES = ("click double_tap scroll swipe input_text navigate_home navigate_back keyboard_enter open_app status wait "
         "long_press answer unknown").split()


@dataclasses.dataclass
class JSONAction:
    """One action."""

    action_type: str | None = None
    index: int | None = None
    x: int | None = None
    y: int | None = None
    text: str | None = None
    direction: str | None = None
    goal_status: str | None = None
    app_name: str | None = None
    keycode: str | None = None
    clear_text: bool | None = None

    def __post_init__(self):
        if self.action_type not in TYPES:
            raise ValueError(f"Invalid action type: {self.action_type}")
        if self.direction and self.direction not in ("left", "right", "down", "up"):
            raise ValueError(f"Invalid scroll direction: {self.direction}")

    def as_dict(self, skip_none=True):
        assert skip_none
        return {name: value for name, value in vars(self).items() if value is not None}
