"""What carries actions out; tests see them before that."""


def execute_adb_action(action, screen_elements, screen_size, env):
    """Does nothing."""
