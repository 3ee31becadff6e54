"""Actions of Handsight as OSWorld writes them: code that calls `pyautogui`, or `computer_13` objects.

`WAIT`, `DONE` and `FAIL` are words of their own in the first, and action types in the second. OSWorld runs code with
`pyautogui` and `time` imported.
"""

# pyautogui's names of keys that have another here.
KEYS = {
    "meta": "winleft", "escape": "esc", "page_up": "pageup", "page_down": "pagedown", "caps_lock": "capslock",
    "num_lock": "numlock", "scroll_lock": "scrolllock", "print_screen": "printscreen", "context_menu": "apps",
    "alt_gr": "altright", "volume_up": "volumeup", "volume_down": "volumedown", "volume_mute": "volumemute",
}

# How long a drag takes, in seconds: too quick a one is none to many programs.
DRAG_SECONDS = 0.5

LONGEST_WAIT = 60.0


class NotPossible(Exception):
    """An action that the action space has no words for."""


def as_code(action):
    """Returns an action as code, or as `WAIT`, `DONE` or `FAIL`."""
    verb = action["action"]
    at = _at(action)
    if verb == "wait":
        return "WAIT"
    if verb == "terminate":
        return "DONE" if action["status"] == "success" else "FAIL"
    simple = {
        "left_click": "click({})",
        "right_click": "click({}, button='right')",
        "middle_click": "click({}, button='middle')",
        "double_click": "doubleClick({})",
        "triple_click": "tripleClick({})",
        "mouse_move": "moveTo({})",
    }
    if verb in simple:
        return f"pyautogui.{simple[verb].format(at)}"
    if verb == "long_press":
        seconds = min(max(action["time"], 0.0), LONGEST_WAIT)
        return f"pyautogui.moveTo({at}); pyautogui.mouseDown(); time.sleep({seconds}); pyautogui.mouseUp()"
    if verb == "drag":
        x, y = action["coordinate2"]
        return f"pyautogui.moveTo({at}); pyautogui.dragTo({x}, {y}, duration={DRAG_SECONDS}, button='left')"
    if verb == "scroll":
        move = f"pyautogui.moveTo({at}); " if at else ""
        dx, dy = _notches(action)
        return move + (f"pyautogui.hscroll({dx})" if dx else f"pyautogui.vscroll({dy})")
    if verb == "type":
        return _typing(action["text"])
    if verb == "key":
        keys = ", ".join(repr(key_name(key)) for key in action["keys"])
        return f"pyautogui.hotkey({keys})" if len(action["keys"]) > 1 else f"pyautogui.press({keys})"
    raise NotPossible(f"pyautogui has nothing for {verb}")


def as_computer_13(action):
    """Returns an action as `computer_13` objects, of which one action may take several."""
    verb = action["action"]
    x, y = action.get("coordinate") or (None, None)
    at = {} if x is None else {"x": x, "y": y}
    buttons = {"left_click": ("left", 1), "right_click": ("right", 1), "middle_click": ("middle", 1),
               "triple_click": ("left", 3)}
    if verb in buttons:
        button, clicks = buttons[verb]
        return [_object("CLICK", button=button, **at, num_clicks=clicks)]
    if verb == "double_click":
        return [_object("DOUBLE_CLICK", **at)]
    if verb == "mouse_move":
        return [_object("MOVE_TO", **at)]
    if verb == "long_press":
        # Its WAIT is as long as the pause after each action.
        return [_object("MOVE_TO", **at), _object("MOUSE_DOWN", button="left"), _object("WAIT"),
                _object("MOUSE_UP", button="left")]
    if verb == "drag":
        to_x, to_y = action["coordinate2"]
        return [_object("MOVE_TO", **at), _object("DRAG_TO", x=to_x, y=to_y)]
    if verb == "scroll":
        dx, dy = _notches(action)
        return ([_object("MOVE_TO", **at)] if at else []) + [_object("SCROLL", dx=dx, dy=dy)]
    if verb == "type":
        _check_typed(action["text"])
        return [_object("TYPING", text=action["text"])]
    if verb == "key":
        keys = [key_name(key) for key in action["keys"]]
        return [_object("PRESS", key=keys[0]) if len(keys) == 1 else _object("HOTKEY", keys=keys)]
    if verb == "wait":
        return [_object("WAIT")]
    if verb == "terminate":
        return [_object("DONE" if action["status"] == "success" else "FAIL")]
    raise NotPossible(f"computer_13 has nothing for {verb}")


def key_name(key):
    """Returns pyautogui's name of a key."""
    return KEYS.get(key, key)


def _object(kind, **parameters):
    return {"action_type": kind, "parameters": parameters} if parameters else {"action_type": kind}


def _at(action):
    coordinate = action.get("coordinate")
    return "" if coordinate is None else f"{coordinate[0]}, {coordinate[1]}"


def _notches(action):
    """Returns how far to the right and how far up."""
    amount = action["amount"]
    return {"up": (0, amount), "down": (0, -amount), "left": (-amount, 0), "right": (amount, 0)}[action["direction"]]


def _typing(text):
    if _is_typed(text):
        return f"pyautogui.write({text!r}, interval=0.02)"
    # pyautogui leaves out what is on no key of its own without a word: such text is pasted.
    return f"import pyperclip; pyperclip.copy({text!r}); pyautogui.hotkey('ctrl', 'v')"


def _check_typed(text):
    if not _is_typed(text):
        lost = "".join(character for character in text if not _is_typed(character))
        raise NotPossible(f"pyautogui types ASCII only, and {lost!r} is not")


def _is_typed(text):
    return all(character in "\n\t" or " " <= character <= "~" for character in text)
