"""hsmdkim-rotate on every kind of token: makes the new key, goes over to it while the daemon runs, destroys the old one."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
import tokens  # noqa: E402
from common import KILLSHIM, tool  # noqa: E402
from test_rotate import RotateCase  # noqa: E402


class Softhsm(RotateCase):
    def test_a_first_signal_lets_the_step_end(self):
        """Also one that comes while the token is at work; then the run stops."""
        run = tool("hsmdkim-rotate", *self.options(), "run", timeout=300,
                   env={**self.environment, "LD_PRELOAD": KILLSHIM, "KILLSHIM_TRUNCATE": "token.object"})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(self.phase(), "chosen")
        self.good("run")
        self.assertEqual(self.phase(), "keeping")


class Kind:
    kind = None

    def make_token(self):
        harness.need(self, self.kind.missing() is None, self.kind.missing())
        self.token = self.kind(self.path("token"))
        self.addCleanup(self.token.stop)
        self.token.start()
        self.environment = self.token.environment()
        self.uri, record = self.token.genkey("old")
        self.token.ready()
        self.allowed = [r"signer process", *self.token.noise]
        return record, {"PKCS11Module": self.token.module, "PKCS11PinSource": "file:" + self.token.pin_file,
                        "TokenSessions": str(self.token.sessions), "SignerUserID": "root"}

    def private_keys(self):
        return self.token.on_token("--login", "--pin", "env:PIN", "--list-objects", "--type", "privkey").count(b"Private Key Object")

    def test_a_whole_life(self):
        self.make_or_destroy("--steps", "5")  # up to the switch, which tries the new key
        self.good("run")
        self.assertEqual(self.phase(), "keeping")
        selector = self.row()[1]
        self.wait_for_selector(selector)
        self.make_or_destroy("--keep", "0", "--grace", "0")
        self.assertEqual(self.phase(), "done")
        self.assertEqual(self.sign_and_verify(), selector)
        self.assertEqual(self.private_keys(), 1)

    def make_or_destroy(self, *options):
        self.good("run", *options)


class Remote(Kind, RotateCase):
    kind = tokens.Remote


class Tpm(Kind, RotateCase):
    kind = tokens.Tpm

    def make_or_destroy(self, *options):
        """Without a resource manager the chip's three slots for keys are too few for the daemon and this."""
        with self.daemon_.without_signer():
            self.token.tidy()
            self.good("run", *options)
            self.token.tidy()

    def private_keys(self):
        with self.daemon_.without_signer():
            self.token.tidy()
            return super().private_keys()


class OpenCryptoki(Kind, RotateCase):
    kind = tokens.OpenCryptoki


if __name__ == "__main__":
    unittest.main()
