#!/usr/bin/python3
"""The same tests on every kind of token that Debian has (tokens.py): keys made by our own tool, mail signed and verified,
a wrong PIN, keys from outside; and what each kind's own way to fail looks like, without a shim in between."""
import concurrent.futures
import os
import re
import signal

import harness
import tokens

TIMEOUT_S = 3  # TokenTimeout: short, so that a hang is seen soon
ANSWER_S = TIMEOUT_S + 2
RECOVERY_S = 60
TROUBLE = r"cannot sign|error loading key|not signed|signer process|token|PIN|module|session|killed by signal|ended with status"


class TokenCase(harness.Case):
    kind = None

    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")
        missing = self.kind.missing()
        harness.need(self, missing is None, missing)
        self.token = self.kind(self.path("token"))
        self.addCleanup(self.token.stop)
        self.token.start()
        self.zone, self.uris = {}, {}

    def make(self, selector, *options):
        self.uris[selector], self.zone[f"{selector}._domainkey.example.com"] = self.token.genkey(selector, *options)

    def start(self, **settings):
        """A daemon that signs with all keys made so far."""
        self.token.ready()
        self.write("KeyTable", "".join(f"{key} example.com:{key}:{uri}\n" for key, uri in self.uris.items()))
        self.write("SigningTable", "".join(f"*@example.com {key}\n" for key in self.uris))
        return self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                            "MultipleSignatures": "yes", "PKCS11Module": self.token.module,
                            "PKCS11PinSource": "file:" + self.token.pin_file, "TokenSessions": str(self.token.sessions),
                            "TokenTimeout": f"{TIMEOUT_S}s", "SignerUserID": self.token.user, **settings},
                           self.token.environment(), allowed=[TROUBLE, *self.token.noise])

    def signed(self, daemon):
        self.assert_signed(daemon.send(harness.MESSAGE), tuple(self.uris))

    def deferred(self, daemon, pattern, timeout=RECOVERY_S):
        """Until a message is deferred with this line in the log; each answer is in time, none is unsigned."""
        since = daemon.log_mark()

        def deferred():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            self.assertLess(outcome.seconds, ANSWER_S)
            return outcome.temporary and re.search(r"cannot sign: d=example\.com .*" + pattern, daemon.log()[since:])
        try:
            return harness.wait_for(deferred, timeout, f"deferred with /{pattern}/")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{daemon.log()}") from None

    def back(self, daemon, timeout=RECOVERY_S):
        """Until mail is signed again; meanwhile none is accepted unsigned."""
        def signed():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            return outcome if outcome.signatures else None
        self.assert_signed(harness.wait_for(signed, timeout, f"the service is back\n{daemon.log()}"), tuple(self.uris))


class Shared:
    """What every kind must do."""

    def test_sign(self):
        """Made by hsmdkim-genkey, found, audited, one line in the log; dkimpy verifies what it signs."""
        self.make("rsa")
        if self.token.ed25519:
            self.make("ed", "--type", "ed25519")
        daemon = self.start()
        for _ in range(3):
            self.signed(daemon)
        for key in self.uris:
            daemon.expect(rf"key {key} \(.* bits, sensitive, not extractable \(never was\)")


class SoftHsm(Shared, TokenCase):
    kind = tokens.SoftHsm


class Remote(Shared, TokenCase):
    kind = tokens.Remote


class Tpm(Shared, TokenCase):
    kind = tokens.Tpm


if __name__ == "__main__":
    harness.main()
