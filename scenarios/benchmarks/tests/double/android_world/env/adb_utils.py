"""Requests to adb, each one call of the controller."""

from types import SimpleNamespace


def issue_generic_request(args, env, timeout_sec=10):
    args = args.split(" ") if isinstance(args, str) else args
    return env.execute_adb_call(SimpleNamespace(generic=SimpleNamespace(args=list(args)), timeout_sec=timeout_sec))


def press_enter_button(env, timeout_sec=10):
    return env.execute_adb_call(SimpleNamespace(press_button="ENTER", timeout_sec=timeout_sec))


def type_text(text, env, timeout_sec=10):
    """Types word by word, a line feed being Enter; what fails is logged and not told."""
    for number, line in enumerate(text.split("\n")):
        if number:
            press_enter_button(env, timeout_sec)
        for place, word in enumerate(line.split(" ")):
            for piece in (["%s"] if place else []) + [word]:
                request = SimpleNamespace(input_text=SimpleNamespace(text=piece), timeout_sec=timeout_sec)
                env.execute_adb_call(request)


def generate_swipe_command(start_x, start_y, end_x, end_y, duration_ms=None):
    ends = [str(end) for end in (start_x, start_y, end_x, end_y)]
    return ["shell", "input", "swipe", *ends, str(duration_ms) if duration_ms else ""]


def check_ok(response, message=None):
    if response.status != 1:
        raise RuntimeError(message)
