"""Tells what the accessibility tree says of the windows of a process: a line of JSON for every line with its id on stdin.

Runs under the system's Python (PyGObject) on the session bus of the process, beside it: a process cannot wait for itself.
"""
import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

MOST = 4000


def nodes(pid):
    """the accessibles that are on the screen: role, name, description and left, top, right, bottom"""
    desktop, found = Atspi.get_desktop(0), []
    left = [desktop.get_child_at_index(n) for n in range(desktop.get_child_count())]
    left = [app for app in left if app and app.get_process_id() == pid]
    for app in left:
        app.clear_cache()
    while left and len(found) < MOST:
        node = left.pop()
        try:
            left += [child for child in map(node.get_child_at_index, range(node.get_child_count())) if child]
            box = node.get_extents(Atspi.CoordType.SCREEN) if node.get_component_iface() else None
            if box and box.width > 0 and box.height > 0:
                found.append(dict(role=node.get_role_name(), name=node.get_name(), description=node.get_description(),
                                  box=[box.x, box.y, box.x + box.width, box.y + box.height]))
        except GLib.Error:                                              # it went away while it was asked
            continue
    return found


Atspi.init()
for line in sys.stdin:
    print(json.dumps(nodes(int(line))), flush=True)
