"""What the tests of the tools share: running programs, temporary folders, zone text read back."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BIN = os.environ.get("BIN", os.path.join(os.path.dirname(__file__), "../../build/release/bin"))
SRCDIR = os.environ.get("SRCDIR", os.path.join(os.path.dirname(__file__), "../.."))


def tool(name, *args, stdin=None, env=None, timeout=60):
    """Run one of our programs; text in and out."""
    return subprocess.run([os.path.join(BIN, name), *args], input=stdin, text=True, timeout=timeout,
                          capture_output=True, env={**os.environ, **(env or {})})


def distribution(name, *args, **more):
    """Run one of opendkim-tools. Missing: a skip, or a failure with REQUIRE_ALL=1."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        if os.environ.get("REQUIRE_ALL") == "1":
            raise AssertionError(name + " is not installed")
        raise unittest.SkipTest(name + " is not installed")
    return subprocess.run([path, *args], text=True, capture_output=True, timeout=60, **more)


def zone_strings(text):
    """The character strings of a TXT record in zone file form, unescaped."""
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return [re.sub(r"\\(\d{3}|.)", lambda m: chr(int(m[1])) if len(m[1]) == 3 else m[1], s) for s in strings]


class ToolCase(unittest.TestCase):
    """A case with a folder of its own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hsmdkim-tools-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as text:
            return text.read()
