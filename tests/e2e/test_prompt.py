#!/usr/bin/python3
"""PINs that are typed at the terminal: each token is asked for, and none gets the PIN of another."""
import os
import pty
import re
import subprocess
import threading

import harness

GENZONE = os.path.join(harness.BIN, "hsmdkim-genzone")


class Typist:
    """A terminal and somebody who answers each question about a PIN."""

    def __init__(self, pins):
        self.pins = pins
        self.asked = []
        self.master, self.slave = pty.openpty()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        shown = ""
        while True:
            try:
                shown += os.read(self.master, 4096).decode()
            except OSError:
                return
            while question := re.search(r"PIN of (?:the )?token ?(\S*): ", shown):
                shown = shown[question.end():]
                self.asked.append(question[1])
                os.write(self.master, self.pins.get(question[1], "0000").encode() + b"\n")


class Prompt(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need_token(self)
        self.token = harness.TokenDirectory(self.path("token")).make("dkim", "one=rsa:2048").make("other", "two=rsa:2048")
        self.token.tool("other", "--change-pin", "--new-pin", "second-pin")
        self.token.give()
        self.typist = Typist({"a": self.token.pin, "b": "second-pin"})
        self.write_tokens("a", "b")
        self.write("KeyTable", "".join(f"{key} example.com:{key}:{self.token.uris[key]}\n" for key in ("one", "two")))
        self.write("SigningTable", "*@example.com one\n*@example.com two\n")
        self.settings = {"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                         "MultipleSignatures": "yes", "TokenTable": self.path("TokenTable")}

    def write_tokens(self, one, other):
        self.write("TokenTable", "".join(f"{name} pkcs11:token={label}?module-path={harness.SOFTHSM}&pin-source=prompt\n"
                                         for name, label in ((one, "dkim"), (other, "other"))))

    def test_the_daemon_asks_for_each_token(self):
        daemon = self.daemon(self.settings, self.token.environment(), start=False)
        daemon.terminal = self.typist.slave
        daemon.start()
        self.assertEqual(["a", "b"], self.typist.asked)
        outcome = daemon.send(harness.MESSAGE)
        self.assertEqual(2, len(outcome.signatures), f"{outcome.answer} {outcome.reply}")
        # What was typed stays; a token that is new has nobody to ask.
        daemon.signal(harness.signal.SIGHUP)
        daemon.expect("configuration reloaded")
        self.write_tokens("a", "c")
        daemon.allowed.append("at start only")
        daemon.signal(harness.signal.SIGHUP)
        daemon.expect(r"TokenTable:2: PIN: the terminal is asked at start only; restart, .*the configuration in force stays")
        self.assertEqual(2, len(daemon.send(harness.MESSAGE).signatures))
        self.assertEqual(["a", "b"], self.typist.asked)

    def test_a_tool_asks_for_each_token(self):
        conf = self.write("conf", "".join(f"{name} {value}\n" for name, value in self.settings.items()))
        result = subprocess.run(["setsid", "--wait", "--ctty", GENZONE, "-x", conf], stdin=self.typist.slave, capture_output=True, text=True,
                                timeout=60, check=False, env={**os.environ, **self.token.environment()})
        self.assertEqual((0, 2), (result.returncode, result.stdout.count("v=DKIM1")), result.stderr)
        self.assertEqual(["a", "b"], self.typist.asked)


if __name__ == "__main__":
    harness.main()
