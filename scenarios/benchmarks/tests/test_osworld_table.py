"""The table of OSWorld's results: what is not finished is a failure beside OSWorld's way."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from handsight_osworld import table
from handsight_osworld.__main__ import main


def results(folder, **scores):
    """Writes results as OSWorld's runner does; None is a task that broke on its way."""
    for name, score in scores.items():
        domain, task = name.split("__")
        here = os.path.join(folder, "pyautogui", "screenshot", "model", domain, task)
        os.makedirs(here)
        with open(os.path.join(here, "traj.jsonl"), "w", encoding="utf-8") as file:
            file.write("{}\n")
        if score is not None:
            with open(os.path.join(here, "result.txt"), "w", encoding="utf-8") as file:
                file.write(score)
    return folder


class Table(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_what_is_not_finished_is_a_failure_here_and_nothing_there(self):
        run = table.read(results(self.path("a"), chrome__1="1.0\n", chrome__2=None, os__3="0.5", os__4="True"))
        found = {row.name: (row.tasks, row.unfinished, row.theirs, row.ours) for row in table.rows([run])}
        self.assertEqual(found["chrome"], (2, 1, 1.0, 0.5))
        self.assertEqual(found["os"], (2, 0, 0.75, 0.75))
        self.assertEqual(found["all"], (4, 1, 2.5 / 3, 0.625))
        # Tasks that were never begun are in OSWorld's list, and no others are counted.
        run = table.read(self.path("a"), {"chrome": ["1", "9"]})
        self.assertEqual(run, {"chrome/1": 1.0, "chrome/9": None})

    def test_several_runs_are_repeats(self):
        runs = [table.read(results(self.path(name), **scores)) for name, scores in {
            "a": dict(os__1="1.0", os__2="1.0", os__3="0"), "b": dict(os__1="1.0", os__2="0.5", os__3="0"),
        }.items()]
        self.assertEqual([(row.k, row.all, row.any) for row in table.reliability(runs)], [(1, 0.5, 0.5), (2, 1 / 3, 2 / 3)])
        self.assertEqual(table.rows(runs)[-1].interval, table.wilson(3.5 / 6 * 3, 3))

    def test_the_command_prints_it_or_says_what_is_wrong(self):
        results(self.path("a"), os__1="1.0", os__2="0.0")
        entry = {"task": "os/2", "reason": "needs the network", "since": "2026-11-01", "until": "2999-12-01"}
        with open(self.path("q.json"), "w", encoding="utf-8") as file:
            json.dump([entry], file)
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            self.assertEqual(main([self.path("a"), "--quarantine", self.path("q.json")]), 0)
            self.assertEqual(main([self.path("none")]), 2)
            results(self.path("bad"), os__1="fine")
            self.assertEqual(main([self.path("bad")]), 2)
        self.assertRegex(out.getvalue(), r"all +1 +0 +1.000 +1.000")
        self.assertIn("not counted, 0 of 1: os/2: needs the network", out.getvalue())
        self.assertIn("mean with all: 0.500", out.getvalue())
        self.assertRegex(error.getvalue(), "there is no folder `.*none`")
        self.assertRegex(error.getvalue(), "result.txt` has no score: 'fine'")


if __name__ == "__main__":
    unittest.main()
