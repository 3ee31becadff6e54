"""Does on an AndroidWorld environment what a server of Handsight decided.

What AndroidWorld has an action for is done with that action: the server sends it ready as a `JSONAction`. The rest
(keys, drags, swipes between two points, typing without a tap and an Enter) goes through `adb_utils`, on the same
connection, and is told apart as not standard: a score with it is not that of AndroidWorld's own actions alone.
"""

import dataclasses
import time
import unicodedata

from android_world.env import adb_utils, json_action

# What AndroidWorld's own actions can say; other verbs are not offered to the model in standard mode.
STANDARD_VERBS = [
    "left_click",
    "double_click",
    "long_press",
    "scroll",
    "swipe",
    "type",
    "system_button",
    "open_app",
    "wait",
    "answer",
    "terminate",
]

# How long a finger takes, in milliseconds: AndroidWorld's own for a swipe, and long enough to pick something up.
SWIPE_MS = 500
DRAG_MS = 1500

# Notches of a wheel that make half a screen, as in the server's own mapping.
HALF_SCREEN_NOTCHES = 6

LONGEST_WAIT = 60.0
ADB_TIMEOUT = 20.0

BUTTONS = {"back": "KEYCODE_BACK", "home": "KEYCODE_HOME", "menu": "KEYCODE_APP_SWITCH", "enter": "KEYCODE_ENTER"}

# Android's names of keys that are not letters or digits.
KEYS = {
    "enter": "ENTER", "tab": "TAB", "escape": "ESCAPE", "backspace": "DEL", "delete": "FORWARD_DEL", "space": "SPACE",
    "up": "DPAD_UP", "down": "DPAD_DOWN", "left": "DPAD_LEFT", "right": "DPAD_RIGHT", "home": "MOVE_HOME",
    "end": "MOVE_END", "page_up": "PAGE_UP", "page_down": "PAGE_DOWN", "insert": "INSERT", "ctrl": "CTRL_LEFT",
    "alt": "ALT_LEFT", "shift": "SHIFT_LEFT", "meta": "META_LEFT", "volume_up": "VOLUME_UP",
    "volume_down": "VOLUME_DOWN", "volume_mute": "VOLUME_MUTE", "power": "POWER", "camera": "CAMERA", "clear": "CLEAR",
    "caps_lock": "CAPS_LOCK", "num_lock": "NUM_LOCK", "scroll_lock": "SCROLL_LOCK", "context_menu": "MENU",
    "print_screen": "SYSRQ", "pause": "BREAK", "alt_gr": "ALT_RIGHT",
    ",": "COMMA", ".": "PERIOD", "-": "MINUS", "=": "EQUALS", "[": "LEFT_BRACKET", "]": "RIGHT_BRACKET",
    "\\": "BACKSLASH", ";": "SEMICOLON", "'": "APOSTROPHE", "/": "SLASH", "@": "AT", "+": "PLUS", "`": "GRAVE",
    "*": "STAR", "#": "POUND", " ": "SPACE",
}


class NotPossible(Exception):
    """An action that cannot be done here; nothing was."""


@dataclasses.dataclass
class Hand:
    """Carries actions out, one after another. `standard` leaves out what AndroidWorld has no action for."""

    env: object
    standard: bool = False
    sleep: object = time.sleep
    # Where was tapped last: AndroidWorld types only where it taps.
    tapped: tuple | None = None

    def do(self, action, said):
        """Does one action, of which `said` is AndroidWorld's form if it has one; returns how: `standard`, `adb` or
        `nothing`."""
        verb = action["action"]
        if verb in ("terminate", "call_user"):
            # Nothing is done to the phone; the episode's end says it.
            return "nothing"
        if verb in ("left_click", "double_click", "long_press"):
            self.tapped = tuple(action["coordinate"])
        elif verb not in ("type", "key", "wait"):
            self.tapped = None
        if said is not None:
            self.env.execute_action(json_action.JSONAction(**said))
            return "standard"
        if self.standard and verb == "type":
            return self._type_as_standard(action["text"])
        if self.standard:
            raise NotPossible(f"AndroidWorld has no action for this {verb}")
        getattr(self, f"_{verb}", self._unknown)(action)
        return "adb"

    def _type_as_standard(self, text):
        """AndroidWorld taps, types, and presses Enter whether it was meant or not."""
        if self.tapped is None:
            raise NotPossible("AndroidWorld types only where it taps: click the field first")
        _check_ascii(text)
        x, y = self.tapped
        action = json_action.JSONAction(action_type=json_action.INPUT_TEXT, x=x, y=y, text=text.removesuffix("\n"))
        self.env.execute_action(action)
        return "standard"

    def _type(self, action):
        text = action["text"]
        _check_ascii(text)
        # Phones refuse to type nothing, which is what AndroidWorld would have them do after a last Enter.
        words = text.removesuffix("\n")
        if words:
            adb_utils.type_text(words, self.env.controller, timeout_sec=ADB_TIMEOUT)
        if words != text:
            adb_utils.press_enter_button(self.env.controller)

    def _key(self, action):
        codes = [keycode(key) for key in action["keys"]]
        what = ["keyevent"] if len(codes) == 1 else ["keycombination"]
        self._input(*what, *codes)

    def _system_button(self, action):
        self._input("keyevent", BUTTONS[action["button"]])

    def _long_press(self, action):
        x, y = action["coordinate"]
        self._input("swipe", x, y, x, y, _millis(action["time"]))

    def _swipe(self, action):
        self._generic(adb_utils.generate_swipe_command(*action["coordinate"], *action["coordinate2"], SWIPE_MS))

    def _drag(self, action):
        self._input("draganddrop", *action["coordinate"], *action["coordinate2"], DRAG_MS)

    def _scroll(self, action):
        width, height = self.env.logical_screen_size
        start, end = scroll_ends(action, width, height)
        self._generic(adb_utils.generate_swipe_command(*start, *end, SWIPE_MS))

    def _wait(self, action):
        self.sleep(min(max(action["time"], 0.0), LONGEST_WAIT))

    def _unknown(self, action):
        raise NotPossible(f"there is no {action['action']} on a phone")

    def _input(self, *words):
        self._generic(["shell", "input", *map(str, words)])

    def _generic(self, command):
        response = adb_utils.issue_generic_request(command, self.env.controller, timeout_sec=ADB_TIMEOUT)
        adb_utils.check_ok(response, f"adb could not do `{' '.join(command)}`: {response.error_message}")


def scroll_ends(action, width, height):
    """Returns where the finger of a scroll starts and ends: it moves against the view, and stays on the screen."""
    direction, amount = action["direction"], action["amount"]
    x, y = action.get("coordinate") or (width // 2, height // 2)
    vertical = direction in ("up", "down")
    length = height if vertical else width
    far = length * amount // (2 * HALF_SCREEN_NOTCHES)
    forward = 1 if direction in ("up", "left") else -1
    start = y if vertical else x
    # Edges open drawers and go back.
    low, high = length // 8, length - length // 8
    if (high - start if forward > 0 else start - low) < length // 4:
        start = length // 2
    start = min(max(start, low), high)
    end = min(max(start + forward * max(far, 1), low), high)
    return ((x, start), (x, end)) if vertical else ((start, y), (end, y))


def keycode(key):
    """Returns Android's name of a key."""
    name = KEYS.get(key)
    if name is None and len(key) == 1 and key.isascii() and key.isalnum():
        name = key.upper()
    if name is None and key[:1] == "f" and key[1:].isdigit() and 1 <= int(key[1:]) <= 12:
        name = key.upper()
    if name is None:
        raise NotPossible(f"phones have no key `{key}`")
    return f"KEYCODE_{name}"


def _millis(seconds):
    return int(min(max(seconds, 0.0), 10.0) * 1000)


def _check_ascii(text):
    """AndroidWorld drops what is not ASCII without a word, accents aside; the model is to hear of it."""
    decomposed = unicodedata.normalize("NFKD", text)
    lost = [found for found in decomposed if not found.isascii() and not unicodedata.combining(found)]
    if lost:
        raise NotPossible(f"AndroidWorld types ASCII only, and {''.join(lost)!r} is not")
