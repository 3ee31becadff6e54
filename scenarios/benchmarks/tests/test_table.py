"""The table: crashed episodes are failures beside AndroidWorld's way."""

import math
import unittest

from handsight_android_world import table


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
        low, high = table.wilson(7, 10)
        self.assertAlmostEqual(low, 0.396778, 5)
        self.assertAlmostEqual(high, 0.892209, 5)

    def test_nothing_is_no_table(self):
        self.assertEqual(table.rows([]), [])

    def test_people_read_it(self):
        lines = table.text(table.rows([episode("Clock", 1.0), episode("Files", NAN)])).splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["task", "Clock", "Files", "mean"])
        self.assertRegex(lines[1], r"1\s+0\s+1\.000\s+1\.000\s+\[0\.207, 1\.000\]\s+0\s+0$")
        self.assertRegex(lines[2], r"1\s+1\s+-\s+0\.000")


if __name__ == "__main__":
    unittest.main()
