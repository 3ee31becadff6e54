"""The table: crashed episodes are failures beside AndroidWorld's way."""

import datetime
import json
import math
import os
import tempfile
import unittest

from handsight_android_world import table
from handsight_episodes.repeats import QuarantineError, passes, quarantine, wilson


def episode(task, success, instance=0, **data):
    data = data or {"error": [None], "performed": [[]]}
    data = float("nan") if isinstance(success, float) and math.isnan(success) else data
    return {"task_template": task, "instance_id": instance, "is_successful": success, "episode_data": data}


NAN = float("nan")


class Table(unittest.TestCase):
    def test_a_crash_is_a_failure_here_and_nothing_there(self):
        rows = table.rows([episode("A", 1.0), episode("A", NAN, 1), episode("B", 0.5), episode("C", NAN)])
        found = {row.name: (row.episodes, row.crashed, row.theirs, row.ours) for row in rows}
        self.assertEqual(found["A"], (2, 1, 1.0, 0.5))
        self.assertEqual(found["B"], (1, 0, 0.5, 0.5))
        self.assertEqual(found["C"], (1, 1, None, 0.0))
        self.assertEqual(found["mean over tasks"], (4, 2, 0.75, (0.5 + 0.5 + 0.0) / 3))
        self.assertNotIn("nan", table.text(rows))

    def test_a_crash_that_was_tried_again_counts_once_as_it_ended(self):
        rows = table.rows([episode("A", NAN), episode("A", 1.0)])
        self.assertEqual((rows[0].episodes, rows[0].crashed, rows[0].ours), (1, 0, 1.0))

    def test_errors_and_what_is_not_standard_are_counted(self):
        through = {"error": [None, "late"], "performed": [[{"how": "adb"}], []]}
        rows = table.rows([episode("A", 0.0, **through), episode("A", 1.0, 1)])
        self.assertEqual((rows[0].errors, rows[0].nonstandard), (1, 1))

    def test_the_interval_is_wilson_s(self):
        # statsmodels.stats.proportion.proportion_confint(7, 10, method="wilson")
        low, high = wilson(7, 10)
        self.assertAlmostEqual(low, 0.396778, 5)
        self.assertAlmostEqual(high, 0.892209, 5)

    def test_nothing_is_no_table(self):
        self.assertEqual(table.rows([]), [])

    def test_people_read_it(self):
        lines = table.text(table.rows([episode("Clock", 1.0), episode("Files", NAN)])).splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["task", "Clock", "Files", "mean"])
        self.assertRegex(lines[1], r"1\s+0\s+1\.000\s+1\.000\s+\[0\.207, 1\.000\]\s+0\s+0$")
        self.assertRegex(lines[2], r"1\s+1\s+-\s+0\.000")

    def test_repeats_say_how_reliable_it_is(self):
        self.assertEqual(passes([(1, 1), (0, 3)]), [])
        found = passes([(4, 4), (2, 4), (0, 4)])
        self.assertEqual([row.k for row in found], [1, 2, 3, 4])
        self.assertAlmostEqual(found[1].all, (1 + 1 / 6) / 3)
        self.assertAlmostEqual(found[1].any, (1 + 5 / 6) / 3)
        self.assertEqual(found[3].all_95, wilson(1, 3))
        again = table.reliability([episode("A", 1.0), episode("A", 0.5, 1), episode("B", 1.0), episode("B", 1.0, 1)])
        self.assertEqual([(row.k, row.all, row.any) for row in again], [(1, 0.75, 0.75), (2, 0.5, 1.0)])

    def test_what_is_in_quarantine_is_shown_and_not_counted(self):
        entry = {"task": "B", "reason": "broken in Docker", "since": "2026-11-01", "until": "2026-12-01"}
        episodes = [episode("A", 1.0), episode("B", 0.0)]
        self.assertEqual(table.rows(episodes, {"B": entry})[-1].ours, 1.0)
        self.assertEqual(
            table.beside(episodes, {"B": entry, "C": {**entry, "task": "C"}}),
            ["not counted, 0 of 1: B: broken in Docker (since 2026-11-01, until 2026-12-01)", "mean over tasks with all: 0.500"],
        )
        self.assertEqual(table.beside(episodes, {}), [])

    def test_lists_are_read_or_refused(self):
        entry = {"task": "B", "reason": "broken", "since": "2026-11-01", "until": "2026-12-01"}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "q.json")

            def read(value, today):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(value if isinstance(value, str) else json.dumps(value))
                return quarantine(path, datetime.date.fromisoformat(today))

            self.assertEqual(read([entry], "2026-12-01"), {"B": entry})
            for value, today, problem in [
                ([entry], "2026-12-02", "the quarantine of `B` in .* ended on 2026-12-01"),
                ([{**entry, "reason": " "}], "2026-11-02", "does not have task, reason"),
                ([{**entry, "until": "soon"}], "2026-11-02", "is no quarantine list"),
                ([entry, entry], "2026-11-02", "`B` is twice"),
                ("[", "2026-11-02", "is no quarantine list"),
                ([5], "2026-11-02", "is no quarantine list"),
            ]:
                with self.assertRaisesRegex(QuarantineError, problem):
                    read(value, today)


if __name__ == "__main__":
    unittest.main()
