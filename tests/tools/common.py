"""What the tests of the tools share: running programs, temporary folders, zone text read back."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))  # nameserver, harness

BIN = os.environ.get("BIN", os.path.join(os.path.dirname(__file__), "../../build/release/bin"))
KILLSHIM = os.path.join(os.environ.get("LIB", os.path.join(BIN, "..", "lib")), "libkillshim.so")
SRCDIR = os.environ.get("SRCDIR", os.path.join(os.path.dirname(__file__), "../.."))


def tool(name, *args, stdin=None, env=None, timeout=300):
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
    return subprocess.run([path, *args], text=True, capture_output=True, timeout=300, **more)


def zone_strings(text):
    """The character strings of a TXT record in zone file form, unescaped."""
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return [re.sub(r"\\(\d{3}|.)", lambda m: chr(int(m[1])) if len(m[1]) == 3 else m[1], s) for s in strings]


def closed_output(name, *args, stdin=b"", env=None):
    """One of our programs whose output nobody reads, and SIGPIPE ignored as under many a daemon. @return exit status, errors"""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = subprocess.run([os.path.join(BIN, name), *args], input=stdin, stdout=writer, stderr=subprocess.PIPE, timeout=300,
                             restore_signals=False, env={**os.environ, **(env or {})})
    finally:
        os.close(writer)
    return run.returncode, run.stderr.decode()


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


SOFTHSM = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so") if os.path.exists(p)), None)


class TokenCase(ToolCase):
    """A case with an empty SoftHSM token "dkim" of its own and its PIN in a file."""

    PIN = "8462917"

    def setUp(self):
        super().setUp()
        if SOFTHSM is None:
            if os.environ.get("REQUIRE_ALL") == "1":
                raise AssertionError("SoftHSM is not installed")
            raise unittest.SkipTest("SoftHSM is not installed")
        os.mkdir(self.path("tokens"))
        self.write("softhsm2.conf", "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n" % self.path("tokens"))
        self.env = {"SOFTHSM2_CONF": self.path("softhsm2.conf")}
        self.pin = self.write("pin", self.PIN + "\n")
        self.token_options = ("--module", SOFTHSM, "--pin-source", "file:" + self.pin)
        self.add_token("dkim")

    def add_token(self, label):
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", self.PIN, "--pin", self.PIN],
                       check=True, capture_output=True, env={**os.environ, **self.env})

    def run_tool(self, name, *args, **more):
        return tool(name, *args, **{"env": self.env, **more})

    def objects(self, *args):
        """pkcs11-tool's list of objects, one text each."""
        run = subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--token-label", "dkim", "--login", "--pin", self.PIN, "-O", *args],
                             check=True, capture_output=True, text=True, env={**os.environ, **self.env})
        return [t for t in re.split(r"\n(?=\S)", run.stdout) if "Object" in t]
