#!/usr/bin/python3
"""What scripts/bench keeps of earlier runs: only what was measured as this one would measure it."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
import results  # noqa: E402


class Kept(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name

    def conditions(self, **other):
        return {"sizes": [5000, 70000], "only": None, "programs": results.fingerprint([os.path.join(self.dir, "program")]), **other}

    def kept(self, **other):
        return results.Results(self.dir, self.conditions(**other))

    def test_only_the_same_options_count(self):
        self.assertTrue(self.kept().measure("sign", lambda: {"figure": 1}))
        self.assertEqual((True, 1), (self.kept().has("sign"), self.kept().get("sign")["data"]["figure"]))
        for other in ({"only": "hsmdkim"}, {"sizes": [5000]}):
            self.assertEqual((False, None), (self.kept(**other).has("sign"), self.kept(**other).get("sign")))
        self.assertTrue(self.kept(only="hsmdkim").measure("sign", lambda: {"figure": 2}))
        self.assertFalse(self.kept().has("sign"))

    def test_another_build_does_not_count(self):
        self.assertTrue(self.kept().measure("sign", lambda: {}))
        with open(os.path.join(self.dir, "program"), "wb") as file:
            file.write(b"new")
        self.assertFalse(self.kept().has("sign"))

    def test_a_wrong_output_is_not_kept(self):
        self.assertFalse(self.kept().measure("sign", lambda: None))
        self.assertFalse(self.kept().has("sign"))


if __name__ == "__main__":
    unittest.main()
