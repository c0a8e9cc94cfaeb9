#!/usr/bin/python3
"""What breaks, on purpose: each fault gets the right answer to the MTA, in time, the right log line, and the service
comes back without a restart by hand."""
import contextlib
import os
import signal
import subprocess
import threading
import time

import harness
import milterclient

TIMEOUT_S = 3  # TokenTimeout of these daemons: short, so that a hang is seen soon
ANSWER_S = TIMEOUT_S + 2
RECOVERY_S = 60
CANNOT_SIGN = r"cannot sign: d=example\.com .*deferred \(On-TokenFailure\)"


class FaultCase(harness.Case):
    def start(self, settings=None, **options):
        options.setdefault("allowed", [r"cannot sign|error loading key|not signed|signer process|token|PIN|module|session"])
        return self.token_daemon({"TokenTimeout": f"{TIMEOUT_S}s", **(settings or {})}, **options)

    def assert_deferred(self, daemon, pattern=CANNOT_SIGN, since=0):
        outcome = daemon.send(harness.MESSAGE)
        self.assertTrue(outcome.temporary, f"{outcome.answer} {outcome.reply}")
        self.assertRegex(outcome.reply or b"451 4.7.0", rb"^451 4\.7\.0")
        self.assertLess(outcome.seconds, ANSWER_S)
        daemon.expect(pattern, since=since)
        return outcome

    def wait_signed(self, daemon, selectors=("rsa2048",), timeout=RECOVERY_S):
        """Until a message is signed again; meanwhile nothing is accepted unsigned."""
        def signed():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"{outcome.answer} {outcome.reply}")
            return outcome if outcome.signatures else None
        self.assert_signed(harness.wait_for(signed, timeout, "the service is back"), selectors)


class Signer(FaultCase):
    CONNECTIONS = 50

    def test_killed_in_the_middle_of_50_connections(self):
        daemon = self.start({"TokenTimeout": "20s"})
        self.assert_signed(daemon.send(harness.MESSAGE))
        at_body = threading.Barrier(self.CONNECTIONS + 1, timeout=30)
        go_on = threading.Barrier(self.CONNECTIONS + 1, timeout=30)
        outcomes = []

        def client():
            message, envelope = milterclient.Message.parse(harness.MESSAGE), milterclient.Envelope()
            outcome = milterclient.Outcome(message=message.copy())
            started = time.monotonic()
            with milterclient.MilterClient(daemon.socket) as link:
                answer = text = None
                for stage, step in link.dialogue(message, envelope, None, True, outcome):
                    if stage == "E":
                        at_body.wait()
                        go_on.wait()
                    answer, text = step()
                outcome.answer, outcome.reply, outcome.seconds = answer, text, time.monotonic() - started
            outcomes.append(outcome)

        threads = [threading.Thread(target=client) for _ in range(self.CONNECTIONS)]
        for thread in threads:
            thread.start()
        at_body.wait()
        milter, signer = daemon.milter_pid(), daemon.signer_pid()
        os.kill(signer, signal.SIGKILL)
        go_on.wait()
        for thread in threads:
            thread.join(60)
        self.assertEqual(self.CONNECTIONS, len(outcomes), "every connection has its answer")
        for outcome in outcomes:
            self.assert_signed(outcome)  # requests are sent again to the new signer
        self.assertEqual(milter, daemon.milter_pid())
        self.assertNotEqual(signer, daemon.signer_pid())
        daemon.expect(r"signer process: killed by signal 9")

    def test_killed_again_and_again(self):
        """Back-off, but no end: after the last kill mail is signed."""
        daemon = self.start({"TokenTimeout": "20s"})
        for _ in range(4):
            pid = daemon.signer_pid()
            os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: daemon.signer_pid() != pid, 30, "a new signer")
        self.wait_signed(daemon)

    def test_stopped_signer(self):
        """A signer that hangs as a whole (SIGSTOP): the milter answers at the deadline, later all is well."""
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        pid = daemon.signer_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.assert_deferred(daemon)
        finally:
            if harness.alive(pid):
                os.kill(pid, signal.SIGCONT)
        self.wait_signed(daemon)


class Token(FaultCase):
    def test_directory_gone_and_back(self):
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        tokens = os.path.join(self.token.path, "tokens")
        os.rename(tokens, tokens + ".away")
        try:
            self.assert_deferred(daemon)
        finally:
            os.rename(tokens + ".away", tokens)
        self.wait_signed(daemon)

    def test_gone_at_start(self):
        """The daemon starts without its token: mail waits with a 4xx until the token is there."""
        harness.need_token(self)
        self.token = harness.TokenDirectory(self.path("token")).make()
        record = self.token.record("rsa2048")
        self.token.record = lambda label: record
        tokens = os.path.join(self.token.path, "tokens")
        os.rename(tokens, tokens + ".away")
        daemon = self.start(token=self.token)
        try:
            self.assert_deferred(daemon)
        finally:
            os.rename(tokens + ".away", tokens)
        self.wait_signed(daemon)

    def test_key_deleted_and_made_again(self):
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        self.token.tool("dkim", "--delete-object", "--type", "privkey", "--label", "rsa2048")
        self.assert_deferred(daemon, r"cannot sign: d=example\.com .*deferred")

    def test_wrong_pin_then_reload(self):
        """A refused PIN is not sent again; a reload with the right one heals."""
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make()
        wrong = self.write("wrong.pin", "not-the-pin\n")
        daemon = self.start({"PKCS11PinSource": "file:" + wrong}, token=token)
        for _ in range(5):
            self.assert_deferred(daemon, r"PIN")
        self.write("wrong.pin", token.pin + "\n")
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded")
        self.wait_signed(daemon)

    def test_wrong_pin_is_sent_once(self):
        """A token locks after a few: one attempt for all messages, also when the signer process was restarted."""
        harness.need(self, os.path.exists(harness.SPY), harness.SPY)
        wrong, calls = self.write("wrong.pin", "not-the-pin\n"), self.write("calls", "", mode=0o666)
        daemon = self.start({"PKCS11PinSource": "file:" + wrong, "PKCS11Module": harness.SPY},
                            environment={"PKCS11SPY": harness.SOFTHSM, "PKCS11SPY_OUTPUT": calls})

        def logins():
            with open(calls, encoding="utf-8", errors="replace") as file:
                return file.read().count(": C_Login\n")
        for _ in range(3):
            self.assert_deferred(daemon, r"PIN")
        self.assertEqual(1, logins())
        pid = daemon.signer_pid()
        os.kill(pid, signal.SIGKILL)
        harness.wait_for(lambda: daemon.signer_pid() != pid, 20, "a new signer")
        self.assert_deferred(daemon, r"PIN")
        self.assertEqual(1, logins())
        self.write("wrong.pin", self.token.pin + "\n")
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded")
        self.wait_signed(daemon)
        self.assertEqual(2, logins())

    def test_one_bad_key_hurts_no_other(self):
        """A KeyTable row whose key is not on the token: its domain waits, the others are signed."""
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make()
        daemon = self.start(token=token, start=False)
        with open(self.path("KeyTable"), "a", encoding="ascii") as file:
            file.write("lost example.org:lost:pkcs11:token=dkim;object=nobody-made-this\n")
        with open(self.path("SigningTable"), "a", encoding="ascii") as file:
            file.write("*@example.org lost\n")
        daemon.start()
        for _ in range(3):
            self.assert_signed(daemon.send(harness.MESSAGE))
            outcome = daemon.send(harness.MESSAGE.replace(b"alice@example.com", b"eve@example.org"))
            self.assertTrue(outcome.temporary, f"{outcome.answer} {outcome.reply}")
        daemon.expect(r"cannot sign: d=example\.org s=\S+ key=lost: .*nobody-made-this.*deferred")

    def test_uri_that_matches_two_keys(self):
        """Never a guess: the message waits, the line names both keys."""
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make("dkim", "rsa2048=rsa:2048", "rsa2048=rsa:2048,id=77")
        token.uris["rsa2048"] = "pkcs11:token=dkim;object=rsa2048"
        token.record = lambda label: ""
        daemon = self.start(token=token)
        self.assert_deferred(daemon, r"cannot sign: d=example\.com .*(%01.*%77|%77.*%01|01.*77|77.*01)")

    def test_hardware_keys_required(self):
        """RequireHardwareKeys: an extractable token key and a key file don't sign."""
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make("dkim", "rsa2048=rsa:2048,extractable")
        daemon = self.start({"RequireHardwareKeys": "yes"}, token=token)
        self.assert_deferred(daemon, r"cannot sign: d=example\.com .*deferred")


class Tables(harness.Case):
    """Errors in tables: at start exit 78 with file and line, at reload the old ones stay in force."""

    BROKEN = {  # (file, text): what the message must name
        "no value": ("KeyTable", "key\n", r"KeyTable:1:"),
        "no selector": ("KeyTable", "# comment\nkey example.com\n", r"KeyTable:2:"),
        "module in a URI": ("KeyTable", "key example.com:s:pkcs11:object=x?module-path=/tmp/x.so\n", r"KeyTable:1:.*module"),
        "PIN in a URI": ("KeyTable", "key example.com:s:pkcs11:object=x?pin-value=1234\n", r"KeyTable:1:.*[Pp][Ii][Nn]"),
        "no object in a URI": ("KeyTable", "key example.com:s:pkcs11:token=dkim\n", r"KeyTable:1:"),
        "name twice": ("KeyTable", "key example.com:s:/x\nkey example.com:t:/y\n", r"KeyTable:2:"),
        "no key name": ("SigningTable", "*@example.com\n", r"SigningTable:1:"),
        "unknown key": ("SigningTable", "*@example.com nobody\n", r"SigningTable:1:.*nobody"),
        "signer without @": ("SigningTable", "*@example.com key:%\n", r"SigningTable:1:"),
        "unknown setting": ("hsmdkim.conf", "NoSuchSetting yes\n", r"hsmdkim\.conf: configuration error at line \d+: .*NoSuchSetting"),
        "bad value": ("hsmdkim.conf", "Mode perhaps\n", r"hsmdkim\.conf: configuration error at line \d+: .*Mode"),
        "host bits set": ("hsmdkim.conf", "InternalHosts 10.0.0.1/8\n", r"10\.0\.0\.1/8"),
    }

    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")
        record = harness.make_key_file(self.path("key.pem"))
        self.zone = {f"{selector}._domainkey.example.com": record for selector in ("one", "two")}
        self.write("KeyTable", f"key example.com:one:{self.path('key.pem')}\n")
        self.write("SigningTable", "*@example.com key\n")
        self.settings = {"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable")}

    @contextlib.contextmanager
    def broken(self, name):
        """The file is broken meanwhile. Gives the pattern of what has to be said."""
        file, text, pattern = self.BROKEN[name]
        path = self.path(file) if file != "hsmdkim.conf" else self.filter.conf
        with open(path, encoding="utf-8") as old:
            good = old.read()
        with open(path, "w", encoding="utf-8") as new:
            new.write(good + text if path == self.filter.conf else text)
        try:
            with self.subTest(broken=name):
                yield pattern
        finally:
            with open(path, "w", encoding="utf-8") as new:
                new.write(good)

    def run_and_end(self, option):
        return subprocess.run([self.filter.program, "-x", self.filter.conf, option], capture_output=True, timeout=300,
                              check=False, text=True)

    def test_start(self):
        self.filter = self.daemon(self.settings, start=False)
        for name in self.BROKEN:
            with self.broken(name) as pattern:
                result = self.run_and_end("-f")
                self.assertEqual(78, result.returncode, result.stderr)
                self.assertRegex(result.stderr, pattern)

    def test_check(self):
        self.filter = self.daemon(self.settings, start=False)
        self.assertEqual(0, self.run_and_end("-n").returncode)
        for name in self.BROKEN:
            if name == "no object in a URI":
                continue  # the signer process parses URIs; -n starts none
            with self.broken(name) as pattern:
                result = self.run_and_end("-n")
                self.assertEqual(78, result.returncode, result.stderr)
                self.assertRegex(result.stderr, pattern)

    def test_reload_is_all_or_nothing(self):
        self.filter = self.daemon(self.settings, allowed=[r"configuration|KeyTable|SigningTable|InternalHosts|reload"])
        self.assert_signed(self.filter.send(harness.MESSAGE), ("one",))
        for number, name in enumerate(self.BROKEN):
            with self.broken(name) as pattern:
                mark = self.filter.log_mark()
                self.filter.signal(signal.SIGHUP if number % 2 else signal.SIGUSR1)
                self.filter.expect(pattern, since=mark)
                self.filter.expect(r"configuration in force stays", since=mark)
                self.assert_signed(self.filter.send(harness.MESSAGE), ("one",))

    def test_reload_takes_effect(self):
        self.filter = self.daemon(self.settings)
        pids = self.filter.milter_pid(), self.filter.signer_pid()
        for selector, reload in (("two", signal.SIGHUP), ("one", signal.SIGUSR1)) * 5:
            self.write("KeyTable", f"key example.com:{selector}:{self.path('key.pem')}\n")
            mark = self.filter.log_mark()
            self.filter.signal(reload)
            self.filter.expect(r"configuration reloaded from ", since=mark)
            # The line is written when both children have switched: the next message is signed by the new table.
            self.assert_signed(self.filter.send(harness.MESSAGE), (selector,))
        self.assertEqual(pids, (self.filter.milter_pid(), self.filter.signer_pid()))

    def test_crash_restarts_from_the_old_tables(self):
        """What is on disk after a crash does not matter: a half-edited table hurts nobody before a reload."""
        self.filter = self.daemon(self.settings, allowed=[r"process: (killed|starts)"])
        self.assert_signed(self.filter.send(harness.MESSAGE), ("one",))
        self.write("KeyTable", "half a li")
        os.unlink(self.path("SigningTable"))
        for kind in ("signer", "milter"):
            pid = self.filter.child(kind)
            os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: self.filter.child(kind) != pid, 20, f"a new {kind}")
        self.assert_signed(self.filter.send(harness.MESSAGE), ("one",))

    def test_reload_under_load(self):
        """20 reloads while 8 clients send: every message is signed, with the one or the other selector. (A message that
        lasts longer than two reloads gets a 4xx: the tables that it began with are gone.)"""
        self.filter = self.daemon(self.settings, allowed=[r"newer reload"])
        stop = threading.Event()
        outcomes = []

        def client():
            while not stop.is_set():
                outcomes.append(self.filter.send(harness.MESSAGE))

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                self.write("KeyTable", f"key example.com:{('one', 'two')[number % 2]}:{self.path('key.pem')}\n")
                mark = self.filter.log_mark()
                self.filter.signal(signal.SIGHUP)
                self.filter.expect(r"configuration reloaded", since=mark)
                sent = len(outcomes)
                harness.wait_for(lambda: len(outcomes) > sent + 2 * len(threads), 30, "no message began before the last one")
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        self.assertGreater(len(outcomes), 20)
        for outcome in outcomes:
            self.assertEqual(1, len(outcome.signatures), f"{outcome.answer} {outcome.reply}")


if __name__ == "__main__":
    harness.main()
