#!/usr/bin/python3
"""Function x fault: a module that fails by a script stands in front of SoftHSM. For each row: the answer to the MTA in
time, the log line, the service back by itself afterwards, and no PIN sent again after it was refused."""
import concurrent.futures
import contextlib
import os
import signal

import faultcase
import harness

# What the codes ask a signer to do, from the standard and from what tokens were seen to do; written down apart from the
# program's own table (pkcs11/ckr.c) so that the one tests the other.
HEALS_ONCE = (
    "CKR_OBJECT_HANDLE_INVALID", "CKR_KEY_HANDLE_INVALID",  # find the key again
    "CKR_SESSION_HANDLE_INVALID", "CKR_SESSION_CLOSED", "CKR_OPERATION_ACTIVE", "CKR_OPERATION_NOT_INITIALIZED",  # new session
    "CKR_DEVICE_ERROR", "CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED", "0x80000001", "0x7777",  # once more
    "CKR_USER_NOT_LOGGED_IN",  # log in again
)
NEW_PROCESS = ("CKR_CRYPTOKI_NOT_INITIALIZED", "CKR_USER_ANOTHER_ALREADY_LOGGED_IN")
DEFERS = (
    "CKR_DEVICE_REMOVED", "CKR_TOKEN_NOT_PRESENT", "CKR_TOKEN_NOT_RECOGNIZED", "CKR_SLOT_ID_INVALID",  # away
    "CKR_SESSION_COUNT", "CKR_HOST_MEMORY", "CKR_DEVICE_MEMORY", "CKR_FUNCTION_CANCELED", "CKR_FUNCTION_REJECTED",  # not now
    "CKR_KEY_TYPE_INCONSISTENT", "CKR_KEY_FUNCTION_NOT_PERMITTED", "CKR_KEY_SIZE_RANGE", "CKR_MECHANISM_INVALID",
    "CKR_MECHANISM_PARAM_INVALID", "CKR_FUNCTION_NOT_SUPPORTED",  # this key cannot
    "CKR_ARGUMENTS_BAD", "CKR_DATA_INVALID", "CKR_DATA_LEN_RANGE", "CKR_BUFFER_TOO_SMALL",
    "CKR_SESSION_PARALLEL_NOT_SUPPORTED",  # our mistake, then
)
ENDS_TOKEN = ("CKR_PIN_INCORRECT", "CKR_PIN_INVALID", "CKR_PIN_LEN_RANGE", "CKR_PIN_LOCKED", "CKR_PIN_EXPIRED",
              "CKR_USER_PIN_NOT_INITIALIZED")

# What a log line calls a code that has no name.
NAMELESS = {"0x80000001": r"CKR_\? \(0x80000001\)", "0x7777": r"CKR_\? \(0x7777\)"}

# Other faults of the two calls of a signature: (script, log pattern).
SIGN_FAULTS = [
    ("C_Sign all lie flip", "does not fit"), ("C_Sign all lie other", "does not fit"),
    ("C_Sign all lie short", "does not fit"), ("C_Sign all lie long", "does not fit"),
    ("C_Sign all lie empty", "does not fit"), ("C_Sign all lie beyond", "does not fit"),
    ("C_Sign all hang", "did not answer|hangs"), ("C_SignInit all hang", "did not answer|hangs"),
    ("C_Sign all crash", "signer process: killed by signal 11"), ("C_SignInit all crash", "signer process: killed by signal 11"),
    ("C_Sign all after CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR"),
    ("C_Sign all delay 5000", "did not answer|hangs"),
]

# What mail does not notice.
UNNOTICED = [
    "C_SignInit call 1 drop", "C_Sign call 1 drop", "C_SignInit call 1 forget", "C_Sign call 1 forget",
    "C_Sign all delay 200", "C_SignInit all delay 100",
    "C_CloseSession all return CKR_DEVICE_ERROR\nC_Sign call 1 return CKR_DEVICE_ERROR",
    "C_FindObjectsFinal all return CKR_DEVICE_ERROR\nC_SignInit call 1 return CKR_OBJECT_HANDLE_INVALID",
]

# The way to the first signature: the signer process starts anew with the fault in place. (script, log pattern)
START_FUNCTIONS = ("C_Initialize", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_OpenSession", "C_Login",
                   "C_FindObjectsInit", "C_FindObjects", "C_GetAttributeValue", "C_GetMechanismInfo")
START_ERRORS = [(f"{function} all return CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR|none of|does not sign with")
                for function in START_FUNCTIONS] + [
    ("C_GetInfo all return CKR_DEVICE_ERROR", "C_GetInfo|CKR_DEVICE_ERROR"),  # libp11 asks for it
    ("C_GetSlotList all hide", "none of 0 tokens"),
    ("C_GetTokenInfo all return CKR_TOKEN_NOT_PRESENT", "none of"),
    ("C_OpenSession all return CKR_SESSION_COUNT", "CKR_SESSION_COUNT"),
    ("C_OpenSession all limit 0", "CKR_SESSION_COUNT"),
    ("C_OpenSession all return CKR_DEVICE_REMOVED", "CKR_DEVICE_REMOVED"),
    ("C_Login all return CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR"),
    ("C_Login all return CKR_FUNCTION_FAILED", "CKR_FUNCTION_FAILED"),
    ("C_Login all return 0x80000001", r"CKR_\?"),
    ("C_Initialize all return CKR_GENERAL_ERROR", "C_Initialize|CKR_GENERAL_ERROR"),
    ("C_Initialize all return CKR_CANT_LOCK", "CKR_CANT_LOCK|C_Initialize"),
    ("C_FindObjects all hide", "of 0 keys"),
    ("C_FindObjects all lie beyond", "cannot sign"),
    ("C_GetAttributeValue all lie beyond", "cannot sign"),
    ("C_GetAttributeValue all lie empty", "cannot sign"),
    ("C_GetAttributeValue all without 0x120", "public"),
    ("C_GetMechanismInfo all without 0x1\nC_GetMechanismInfo all without 0x40", "does not sign with CKM_RSA_PKCS"),
]
START_DEATHS = [(f"{function} all crash", "signer process: killed by signal 11") for function in START_FUNCTIONS]
START_HANGS = [(f"{function} all hang", "did not answer|hangs") for function in START_FUNCTIONS]

# What a token says of its PIN before any attempt is spent.
PIN_FLAGS = [("0x20000", "the next wrong PIN locks the token"), ("0x40000", "the PIN is locked"),
             ("0x80000", "the PIN must be changed")]


class Sign(faultcase.FaultCase):
    """Faults of the calls that make a signature, in a signer process that has signed."""

    def setUp(self):
        super().setUp()
        self.filter = self.start()
        self.assert_signed(self.filter.send(harness.MESSAGE))

    @contextlib.contextmanager
    def row(self, script):
        with self.subTest(script=script):
            self.fault(script)
            try:
                yield
            finally:
                self.fault("")
        self.wait_signed(self.filter)
        self.assert_no_pin_twice_after_refusal()

    def lasting(self, rows):
        """A 4xx in time as long as it lasts, then back."""
        for script, pattern in rows:
            with self.row(script):
                outcome, line = self.assert_deferred(self.filter, pattern)
                self.fault("")
                self.report(script, outcome, self.wait_signed(self.filter), line)

    def test_once_is_not_noticed(self):
        scripts = [f"{function} call 1 return {ckr}" for function in ("C_SignInit", "C_Sign") for ckr in HEALS_ONCE]
        for script in scripts + UNNOTICED:
            with self.row(script):
                outcome = self.filter.send(harness.MESSAGE)
                self.assert_signed(outcome)
                self.report(script, outcome)

    def test_once_defers_one_message(self):
        self.lasting([(f"{function} call 1 return {ckr}", ckr) for function in ("C_SignInit", "C_Sign") for ckr in DEFERS])

    def test_every_code(self):
        self.lasting([(f"C_Sign all return {ckr}", NAMELESS.get(ckr, ckr)) for ckr in HEALS_ONCE + DEFERS])

    def test_sign_init(self):
        """One of each kind: the ladder is the same."""
        kinds = ("CKR_KEY_HANDLE_INVALID", "CKR_SESSION_CLOSED", "CKR_DEVICE_ERROR", "CKR_USER_NOT_LOGGED_IN",
                 "CKR_TOKEN_NOT_PRESENT", "CKR_MECHANISM_INVALID", "CKR_ARGUMENTS_BAD")
        self.lasting([(f"C_SignInit all return {ckr}", ckr) for ckr in kinds])

    def test_other_faults(self):
        self.lasting(SIGN_FAULTS)

    def test_new_process(self):
        """Only a fresh C_Initialize helps: the signer process starts anew, its requests are asked again."""
        for ckr in NEW_PROCESS:
            for function in ("C_SignInit", "C_Sign"):
                script = f"{function} all return {ckr}"
                with self.row(script), concurrent.futures.ThreadPoolExecutor(1) as pool:
                    since, pid = self.filter.log_mark(), self.filter.signer_pid()
                    future = pool.submit(self.filter.send, harness.MESSAGE)
                    line = self.filter.expect(rf"[^\n]*{ckr}[^\n]*starts anew", since=since)[0]
                    self.fault("")
                    outcome = future.result()
                    self.assertTrue(outcome.temporary or outcome.signatures, outcome.answer)
                    self.report(script, outcome, self.wait_signed(self.filter), line)
                    self.assertNotEqual(pid, self.filter.signer_pid())


class Start(faultcase.FaultCase):
    """Faults on the way to the first signature of a signer process: it is killed, the next one meets them."""

    def lasting(self, rows):
        for script, pattern in rows:
            with self.subTest(script=script), self.daemon_with() as daemon:
                self.assert_signed(daemon.send(harness.MESSAGE))
                self.fault(script)
                os.kill(daemon.signer_pid(), signal.SIGKILL)
                outcome, line = self.assert_deferred(daemon, pattern)
                self.fault("")
                self.report(script, outcome, self.wait_signed(daemon), line)
        self.assert_no_pin_twice_after_refusal()

    def test_errors(self):
        self.lasting(START_ERRORS)

    def test_crashes(self):
        self.lasting(START_DEATHS)

    def test_hangs(self):
        self.lasting(START_HANGS)

    def test_unnoticed(self):
        """Codes that mean success, and calls whose failure costs nothing."""
        for script in ("C_Login all after CKR_USER_ALREADY_LOGGED_IN", "C_Initialize all after CKR_CRYPTOKI_ALREADY_INITIALIZED",
                       "C_FindObjectsFinal all after CKR_DEVICE_ERROR", "C_CloseSession all after CKR_DEVICE_ERROR",
                       "C_Initialize all cantlock"):
            with self.subTest(script=script), self.daemon_with(script) as daemon:
                outcome = daemon.send(harness.MESSAGE)
                self.assert_signed(outcome)
                self.report(script, outcome)


class Kinds(faultcase.FaultCase):
    """Tokens that do it another way."""

    def test_token_that_hashes_itself(self):
        """Without CKM_RSA_PKCS the token gets the canonical header and CKM_SHA256_RSA_PKCS."""
        daemon = self.start("\n".join(f"{function} all without 0x1" for function in ("C_GetMechanismInfo", "C_GetMechanismList", "C_SignInit")))
        self.assert_signed(daemon.send(harness.MESSAGE))
        daemon.expect("token hashes")

    def test_ed25519_in_every_encoding(self):
        for point in ("raw", "octets", "bits"):
            for params in ("oid", "edwards25519", "ed25519"):
                script = f"C_GetAttributeValue all point {point}\nC_GetAttributeValue all params {params}"
                with self.subTest(script=script), self.daemon_with(script, keys=("ed25519",)) as daemon:
                    self.assert_signed(daemon.send(harness.MESSAGE), ("ed25519",))

    def test_public_key_from_elsewhere(self):
        """No exponent in the private half: 65537, or what the public object says."""
        daemon = self.start("C_GetAttributeValue all without 0x122")
        self.assert_signed(daemon.send(harness.MESSAGE))

    def test_fewer_sessions_than_asked_for(self):
        daemon = self.start("C_OpenSession all limit 3\nC_Sign all delay 20", TokenSessions="8")
        outcomes = self.send_many(daemon, 16)
        for outcome in outcomes:
            self.assert_signed(outcome)
        daemon.expect(r"grants \d sessions, 8 are configured")
        self.assertEqual(1, daemon.log().count("are configured"), "said once")

    def test_module_that_cannot_lock(self):
        """CKR_CANT_LOCK: one thread at a time; the module ends the process when there are two."""
        daemon = self.start("C_Initialize all cantlock\nC_Sign all delay 5", TokenSessions="4")
        for outcome in self.send_many(daemon, 32):
            self.assert_signed(outcome)
        self.assertNotIn("killed by signal", daemon.log())


class Pin(faultcase.FaultCase):
    def test_refused_once_never_again(self):
        for ckr in ENDS_TOKEN:
            self.forget_calls()
            with self.subTest(ckr=ckr), self.daemon_with(f"C_Login all return {ckr}") as daemon:
                for _ in range(3):
                    outcome, line = self.assert_deferred(daemon, ckr)
                self.assertEqual(1, len(self.logins()))
                pid = daemon.signer_pid()
                os.kill(pid, signal.SIGKILL)
                harness.wait_for(lambda: daemon.signer_pid() != pid, 20, "a new signer")
                self.assert_deferred(daemon, "refused before")
                self.assertEqual(1, len(self.logins()), "a new signer process must remember the refusal")
                self.fault("")
                self.assert_deferred(daemon, "refused before")
                daemon.signal(signal.SIGHUP)
                daemon.expect("configuration reloaded")
                self.report(f"C_Login all return {ckr}", outcome, self.wait_signed(daemon), line)

    def test_refused_by_a_later_call(self):
        """A login that lapses, with a PIN that was changed meanwhile: one attempt."""
        daemon = self.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        self.fault("C_SignInit all forget\nC_Login all return CKR_PIN_INCORRECT")
        for _ in range(3):
            self.assert_deferred(daemon, "CKR_PIN_INCORRECT")
        self.assertEqual(["0x0", "0xa0"], [ckr for ckr, _ in self.logins()])

    def test_lapsed_login_before_the_first_key(self):
        """Private keys are hidden, nothing says why: it is asked, and the right PIN is given again."""
        daemon = self.start("C_FindObjectsInit call 1 forget")
        self.wait_signed(daemon)
        self.assertEqual({"0x0"}, {ckr for ckr, _ in self.logins()})

    def test_many_sessions_one_attempt(self):
        """Eight sessions want to log in at once."""
        daemon = self.start("C_Login all return CKR_PIN_INCORRECT\nC_OpenSession all delay 20", TokenSessions="8")
        for outcome in self.send_many(daemon, 16):
            self.assertTrue(outcome.temporary, outcome.answer)
        self.assertEqual(1, len(self.logins()))

    def test_unclear_answers_are_few(self):
        """The token may have counted a wrong PIN, whatever its module says of it or does: one attempt, a rest, one more, also
        when it ended the signer process, and then none until a reload."""
        for fault in ("return CKR_GENERAL_ERROR", "return 0x80000001", "crash", "hang"):
            self.forget_calls()
            with self.subTest(fault=fault), self.daemon_with(f"C_Login all {fault}") as daemon:
                outcome, line = self.assert_deferred(daemon)
                harness.wait_for(lambda: daemon.send(harness.MESSAGE).temporary and "2 logins had no clear answer" in daemon.log(), 90,
                                 "it is given up")
                for _ in range(3):
                    self.assert_deferred(daemon, "2 logins had no clear answer")
                self.assertEqual(2, self.login_attempts())
                self.fault("")
                self.assert_deferred(daemon, "2 logins had no clear answer")
                daemon.signal(signal.SIGHUP)
                daemon.expect("configuration reloaded")
                self.report(f"C_Login all {fault}", outcome, self.wait_signed(daemon), line)

    def test_flags_stop_before_the_attempt(self):
        for flag, text in PIN_FLAGS:
            self.forget_calls()
            with self.subTest(flag=flag), self.daemon_with(f"C_GetTokenInfo all flags {flag}") as daemon:
                self.assert_deferred(daemon, text)
                self.assertEqual([], self.logins())

    def test_count_low_is_logged_and_tried_once(self):
        daemon = self.start("C_GetTokenInfo all flags 0x10000")
        self.assert_signed(daemon.send(harness.MESSAGE))
        daemon.expect("wrong PIN was entered|USER_PIN_COUNT_LOW")
        self.assertEqual(1, len(self.logins()))


if __name__ == "__main__":
    harness.main()
