#!/usr/bin/python3
"""Function x fault: a module that fails by a script stands in front of SoftHSM (tests/faultmod). For each row the answer
to the MTA, in time, the log line, the service back by itself afterwards, and no PIN sent twice after it was refused."""
import os
import re
import signal
import subprocess

import harness

FAULTMOD = os.path.join(os.path.dirname(harness.BIN), "lib", "libhsmdkim-faultmod.so")
TIMEOUT_S = 1  # TokenTimeout: short, so that a hang is over soon
ANSWER_S = TIMEOUT_S + 2
RECOVERY_S = 60

# Once is no fault: the request is tried again inside its deadline, and the mail is signed.
ONCE = [
    (function, f"{function} call 1 return {ckr}")
    for function in ("C_SignInit", "C_Sign")
    for ckr in ("CKR_SESSION_HANDLE_INVALID", "CKR_SESSION_CLOSED", "CKR_OPERATION_ACTIVE",
                "CKR_OPERATION_NOT_INITIALIZED", "CKR_DEVICE_ERROR", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED",
                "CKR_OBJECT_HANDLE_INVALID", "CKR_KEY_HANDLE_INVALID", "CKR_USER_NOT_LOGGED_IN", "0x80000001")
] + [
    ("sessions", "C_SignInit call 1 drop"),
    ("delay", "C_Sign all delay 200"),
]

# As long as the fault lasts mail gets a 4xx in time; afterwards it is signed again.
LASTING = [
    (script.split()[0], script, pattern) for script, pattern in (
        ("C_Sign all return CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR"),
        ("C_Sign all return CKR_GENERAL_ERROR", "CKR_GENERAL_ERROR"),
        ("C_Sign all return CKR_DEVICE_REMOVED", "CKR_DEVICE_REMOVED"),
        ("C_Sign all return CKR_TOKEN_NOT_PRESENT", "CKR_TOKEN_NOT_PRESENT"),
        ("C_Sign all return CKR_HOST_MEMORY", "CKR_HOST_MEMORY"),
        ("C_Sign all return CKR_DEVICE_MEMORY", "CKR_DEVICE_MEMORY"),
        ("C_Sign all return CKR_FUNCTION_REJECTED", "CKR_FUNCTION_REJECTED"),
        ("C_Sign all return CKR_CRYPTOKI_NOT_INITIALIZED", "CKR_CRYPTOKI_NOT_INITIALIZED|signer process"),
        ("C_Sign all return 0x80000001", r"CKR_\?"),
        ("C_SignInit all return CKR_SESSION_HANDLE_INVALID", "CKR_SESSION_HANDLE_INVALID|signer process"),
        ("C_SignInit all return CKR_DEVICE_REMOVED", "CKR_DEVICE_REMOVED"),
        ("C_Sign all lie flip", "does not fit"),
        ("C_Sign all lie short", "does not fit"),
        ("C_Sign all lie other", "does not fit"),
        ("C_Sign all hang", "did not answer|hangs"),
        ("C_SignInit all hang", "did not answer|hangs"),
        ("C_Sign all crash", "signer process: killed by signal 11"),
    )
]

# Faults on the way to the first signature: the daemon starts with the fault in place.
AT_START = [
    ("C_Initialize all return CKR_GENERAL_ERROR", "C_Initialize|CKR_GENERAL_ERROR"),
    ("C_Initialize all hang", "did not answer"),
    ("C_GetSlotList all return CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR|none of"),
    ("C_GetSlotList all hide", "none of 0 tokens"),
    ("C_GetTokenInfo all return CKR_DEVICE_ERROR", "none of"),
    ("C_OpenSession all return CKR_SESSION_COUNT", "CKR_SESSION_COUNT"),
    ("C_OpenSession all return CKR_DEVICE_REMOVED", "CKR_DEVICE_REMOVED"),
    ("C_OpenSession all hang", "did not answer"),
    ("C_Login all hang", "did not answer"),
    ("C_FindObjectsInit all return CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR"),
    ("C_FindObjects all hang", "did not answer"),
    ("C_GetAttributeValue all hang", "did not answer"),
]

# Answers of C_Login after which the PIN must not be sent again.
REFUSALS = ["CKR_PIN_INCORRECT", "CKR_PIN_LOCKED", "CKR_PIN_EXPIRED", "CKR_USER_PIN_NOT_INITIALIZED"]

# What a token says of its PIN before any attempt is spent.
PIN_FLAGS = [("0x20000", "the next wrong PIN locks the token"), ("0x40000", "the PIN is locked"),
             ("0x80000", "the PIN must be changed")]


class FaultCase(harness.Case):
    settings = {}

    def setUp(self):
        super().setUp()
        harness.need(self, os.path.exists(FAULTMOD), FAULTMOD)
        self.script = self.write("script", "", mode=0o644)
        self.calls = self.write("calls", "", mode=0o666)

    def start(self, script="", token=None, **settings):
        self.fault(script)
        return self.token_daemon(
            {"TokenTimeout": f"{TIMEOUT_S}s", "TokenSessions": "2", "PKCS11Module": FAULTMOD, **self.settings, **settings},
            token=token, environment={"HSMDKIM_FAULT_MODULE": harness.SOFTHSM, "HSMDKIM_FAULT_SCRIPT": self.script,
                         "HSMDKIM_FAULT_LOG": self.calls},
            allowed=[r"cannot sign|error loading key|not signed|signer process|token|PIN|module|session|killed by signal|ended with status"])

    def fault(self, script):
        """Take a new script over at once: a new file under the old name."""
        fresh = self.write("script.new", script + "\n", mode=0o644)
        os.rename(fresh, self.script)

    def logins(self):
        """[(ckr, pin)] of all user logins so far"""
        with open(self.calls, encoding="ascii") as file:
            return re.findall(r"C_Login (0x[0-9a-f]+) user=1 pin=([0-9a-f]+)", file.read())

    def assert_deferred(self, daemon, pattern):
        since = daemon.log_mark()
        outcome = daemon.send(harness.MESSAGE)
        self.assertTrue(outcome.temporary, f"{outcome.answer} {outcome.reply}")
        self.assertLess(outcome.seconds, ANSWER_S)
        daemon.expect(r"cannot sign: d=example\.com", since=since)
        daemon.expect(pattern)

    def wait_signed(self, daemon):
        def signed():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            return outcome if outcome.signatures else None
        self.assert_signed(harness.wait_for(signed, RECOVERY_S, "the service is back"))

    def assert_no_pin_twice_after_refusal(self):
        refused = set()
        for ckr, pin in self.logins():
            self.assertNotIn(pin, refused, "a refused PIN was sent again")
            if ckr in ("0xa0", "0xa1", "0xa2", "0xa3", "0xa4", "0x102"):
                refused.add(pin)


class Once(FaultCase):
    def test_retried_inside_the_deadline(self):
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        for what, script in ONCE:
            with self.subTest(what=what, script=script):
                self.fault(script)
                self.assert_signed(daemon.send(harness.MESSAGE))
                self.fault("")
        self.assertEqual({"0x0"}, {ckr for ckr, pin in self.logins()} - {"0x100"})

    def test_token_that_hashes_itself(self):
        """Without CKM_RSA_PKCS the token gets the canonical header and CKM_SHA256_RSA_PKCS."""
        daemon = self.start("C_GetMechanismInfo all without 0x1")
        self.assert_signed(daemon.send(harness.MESSAGE))
        daemon.expect("token hashes")

    def test_fewer_sessions_than_asked_for(self):
        daemon = self.start("C_OpenSession all limit 2", TokenSessions="8")
        for _ in range(20):
            self.assert_signed(daemon.send(harness.MESSAGE))


class Lasting(FaultCase):
    def test_deferred_then_back(self):
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        for what, script, pattern in LASTING:
            with self.subTest(what=what, script=script):
                self.fault(script)
                self.assert_deferred(daemon, pattern)
                self.fault("")
                self.wait_signed(daemon)
        self.assert_no_pin_twice_after_refusal()


class AtStart(FaultCase):
    def test_deferred_then_back(self):
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make()
        for script, pattern in AT_START:
            with self.subTest(script=script):
                daemon = self.start(script, token)
                self.assert_deferred(daemon, pattern)
                self.fault("")
                self.wait_signed(daemon)
                daemon.stop()
        self.assert_no_pin_twice_after_refusal()


class Pin(FaultCase):
    def test_refused_once_never_again(self):
        for ckr in REFUSALS:
            with self.subTest(ckr=ckr):
                self.forget()
                daemon = self.start(f"C_Login all return {ckr}")
                for _ in range(3):
                    self.assert_deferred(daemon, ckr)
                self.assertEqual(1, len(self.logins()))
                pid = daemon.signer_pid()
                os.kill(pid, signal.SIGKILL)
                harness.wait_for(lambda: daemon.signer_pid() != pid, 20, "a new signer")
                self.assert_deferred(daemon, "refused before")
                self.assertEqual(1, len(self.logins()), "a new signer process must remember the refusal")
                self.fault("")
                daemon.signal(signal.SIGHUP)
                daemon.expect("configuration reloaded")
                self.wait_signed(daemon)
                daemon.stop()

    def forget(self):
        """A fresh token and an empty list of calls for the next row."""
        subprocess.run(["rm", "-rf", self.path("token")], check=True)
        with open(self.calls, "w", encoding="ascii"):
            pass

    def test_flags_stop_before_the_attempt(self):
        for flag, text in PIN_FLAGS:
            with self.subTest(flag=flag):
                self.forget()
                daemon = self.start(f"C_GetTokenInfo all flags {flag}")
                self.assert_deferred(daemon, text)
                self.assertEqual([], self.logins())
                daemon.stop()

    def test_count_low_is_logged_and_tried_once(self):
        daemon = self.start("C_GetTokenInfo all flags 0x10000")
        self.assert_signed(daemon.send(harness.MESSAGE))
        daemon.expect("wrong PIN was entered|USER_PIN_COUNT_LOW")
        self.assertEqual(1, len(self.logins()))


if __name__ == "__main__":
    harness.main()
