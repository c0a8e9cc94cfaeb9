"""A daemon whose module fails by a script (tests/faultmod), and what is measured then: the answer to the MTA and its
time, the log line, the time until the service is back, and what was sent to C_Login.

E2E_REPORT=FILE appends a line for each row of a matrix: function, fault, answer, seconds, seconds to recovery, log line.
"""
import concurrent.futures
import contextlib
import os
import re
import time

import harness

FAULTMOD = harness.for_user(os.path.join(os.path.dirname(harness.BIN), "lib", "libhsmdkim-faultmod.so"))
TIMEOUT_S = 1  # TokenTimeout: short, so that a hang is over soon
ANSWER_S = TIMEOUT_S + 2  # an answer is given by then, on a busy machine
RECOVERY_S = 30  # back in service by itself; first rest of a token 1 s, later ones twice as long each
# C_Login's answers after which a PIN must not be sent again: PIN_INCORRECT, INVALID, LEN_RANGE, EXPIRED, LOCKED, NOT_INITIALIZED
REFUSALS = ("0xa0", "0xa1", "0xa2", "0xa3", "0xa4", "0x102")
EXPECTED = r"cannot sign|cannot be used|error loading key|not signed|signer process|token|PIN|module|session|killed by signal|ended with status"


class FaultCase(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need(self, os.path.exists(FAULTMOD), FAULTMOD)
        self.script = self.write("script", "", mode=0o644)
        self.calls = self.write("calls", "", mode=0o666)

    def environment(self):
        return {"HSMDKIM_FAULT_MODULE": harness.SOFTHSM, "HSMDKIM_FAULT_SCRIPT": self.script,
                "HSMDKIM_FAULT_LOG": self.calls}

    def start(self, script="", keys=(), **settings):
        """@return a daemon with these rules in force; the token is made once a test"""
        self.fault(script)
        return self.token_daemon({"TokenTimeout": f"{TIMEOUT_S}s", "TokenSessions": "2", "PKCS11Module": FAULTMOD, **settings},
                                 token=getattr(self, "token", None), keys=keys, environment=self.environment(),
                                 allowed=[EXPECTED])

    @contextlib.contextmanager
    def daemon_with(self, script="", **settings):
        """For several daemons one after the other in a test."""
        daemon = self.start(script, **settings)
        try:
            yield daemon
        finally:
            self.fault("")
            daemon.stop()

    def send_many(self, daemon, messages):
        """So many messages at once. @return their outcomes"""
        with concurrent.futures.ThreadPoolExecutor(messages) as pool:
            return list(pool.map(lambda _: daemon.send(harness.MESSAGE), range(messages)))

    def fault(self, script):
        """From the next call on: a new file under the old name."""
        fresh = self.write("script.new", script + "\n", mode=0o644)
        os.rename(fresh, self.script)

    # What the module was asked.
    def logins(self):
        """[(ckr, pin)] of all user logins so far that came to an end"""
        with open(self.calls, encoding="ascii") as file:
            return re.findall(r"C_Login (0x[0-9a-f]+) user=1 pin=([0-9a-f]+)", file.read())

    def login_attempts(self):
        """How many there were, also those that ended the process."""
        with open(self.calls, encoding="ascii") as file:
            return len(re.findall(r" C_Login ", file.read()))

    def forget_calls(self):
        with open(self.calls, "w", encoding="ascii"):
            pass

    def assert_no_pin_twice_after_refusal(self):
        refused = set()
        for ckr, pin in self.logins():
            self.assertNotIn(pin, refused, "a refused PIN was sent again")
            if ckr in REFUSALS:
                refused.add(pin)

    # What the MTA is told.
    def assert_deferred(self, daemon, pattern=None):
        """@return (outcome, the log line that says why)"""
        since = daemon.log_mark()
        outcome = daemon.send(harness.MESSAGE)
        self.assertTrue(outcome.temporary, f"{outcome.answer} {outcome.reply}")
        self.assertRegex(outcome.reply or b"451 4.7.0", rb"^4\d\d 4\.\d\.\d")
        self.assertLess(outcome.seconds, ANSWER_S)
        line = daemon.expect(r"[^\n]*cannot sign: d=example\.com[^\n]*", since=since)[0]
        if pattern:
            daemon.expect(pattern, since=since)
        return outcome, line

    def wait_signed(self, daemon, timeout=RECOVERY_S):
        """Until mail is signed again; meanwhile none is accepted unsigned. @return seconds"""
        started = time.monotonic()

        def signed():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            return outcome if outcome.signatures else None
        outcome = harness.wait_for(signed, timeout, "the service is back")
        seconds = time.monotonic() - started
        self.assert_signed(outcome)
        return seconds

    def report(self, script, outcome, recovery=0.0, line=""):
        path = os.environ.get("E2E_REPORT")
        if not path:
            return
        function, fault = script.split("\n")[0].split(maxsplit=1)
        with open(path, "a", encoding="utf-8") as file:
            file.write("\t".join((function, fault, "signed" if outcome.signatures else outcome.answer,
                                  f"{outcome.seconds:.2f}", f"{recovery:.1f}", line.partition(": ")[2])) + "\n")
