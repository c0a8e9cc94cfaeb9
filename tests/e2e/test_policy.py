#!/usr/bin/python3
"""Who is signed, as the MTA sees it: addresses, macros, recipients; and what the signature says. The rules one by one
are in tests/unit/test_decide.c, this is the way from the milter protocol to them."""
import time

import harness
import milterclient
import verifiers

Envelope = milterclient.Envelope
STRANGER = Envelope(host=b"mail.example.net", address="192.0.2.7")


class Policy(harness.Case):
    def assert_unsigned(self, outcome):
        self.assertTrue(outcome.accepted, f"{outcome.answer} {outcome.reply}")
        self.assertEqual([], outcome.modifications)

    def tags(self, outcome):
        self.assert_signed(outcome, ("sel",))
        return verifiers.tags_of(outcome.signatures[0])

    def test_where_it_comes_from(self):
        daemon = self.file_key_daemon({"LogWhy": "yes"})
        local = Envelope(host=b"localhost", address="")  # a Unix socket, or sendmail(1) of some MTAs
        for envelope in (Envelope(), local, Envelope(address="::1"),
                         Envelope(host=STRANGER.host, address=STRANGER.address,
                                  macros_mail={b"{auth_type}": b"PLAIN", b"{auth_authen}": b"alice"})):
            self.assert_signed(daemon.send(harness.MESSAGE, envelope), ("sel",))
        self.assert_unsigned(daemon.send(harness.MESSAGE, STRANGER))
        daemon.expect(r"4QxYzA1b2C: mail\.example\.net \[192\.0\.2\.7\] not internal")
        daemon.expect(r"external host mail\.example\.net attempted to send as example\.com")
        self.assert_unsigned(daemon.send(harness.MESSAGE.replace(b"example.com", b"example.org")))
        daemon.expect(r"no signing domain match for 'example\.org'")

    def test_lists_of_hosts(self):
        daemon = self.file_key_daemon({"InternalHosts": "127.0.0.1,10.0.0.0/8,!10.6.6.6,.inside.example",
                                       "PeerList": "203.0.113.9"})
        signed = [Envelope(address="10.1.2.3"), Envelope(host=b"a.inside.example", address="192.0.2.8")]
        unsigned = [Envelope(host=b"x", address="10.6.6.6"), Envelope(host=b"x", address="192.0.2.8"),
                    Envelope(host=b"x", address="203.0.113.9")]
        for envelope in signed:
            self.assert_signed(daemon.send(harness.MESSAGE, envelope), ("sel",))
        for envelope in unsigned:
            self.assert_unsigned(daemon.send(harness.MESSAGE, envelope))

    def test_warns_when_loopback_is_not_internal(self):
        daemon = self.file_key_daemon({"InternalHosts": "10.0.0.0/8"}, allowed=["InternalHosts does not hold 127.0.0.1"])
        daemon.expect("warning: .*127\\.0\\.0\\.1")

    def test_warns_of_rows_that_can_match_no_mail(self):
        keys = self.write("KeyTable", "k1 example.com:sel:/nonexistent.pem\n")
        signers = self.write("SigningTable", "# OpenDKIM's classic mistake\n*@example.com k1\n")
        daemon = self.daemon({"KeyTable": keys, "SigningTable": signers}, allowed=["can match no sender", "key k1 cannot be used"])
        daemon.expect("warning: .*SigningTable:2: '\\*@example.com' can match no sender: .*refile:")

    def test_macros(self):
        daemon = self.file_key_daemon({"MTA": "submission", "MacroList": "{mark}=out|relay"})
        stranger = dict(host=STRANGER.host, address=STRANGER.address)
        connect = Envelope().macros_connect
        for envelope in (Envelope(**stranger, macros_connect={**connect, b"{daemon_name}": b"submission"}),
                         Envelope(**stranger, macros_mail={b"{mark}": b"relay"})):
            self.assert_signed(daemon.send(harness.MESSAGE, envelope), ("sel",))
        for envelope in (Envelope(**stranger, macros_connect={**connect, b"{daemon_name}": b"smtp"}),
                         Envelope(**stranger, macros_mail={b"{mark}": b"in"})):
            self.assert_unsigned(daemon.send(harness.MESSAGE, envelope))

    def test_recipients_and_exempt_domains(self):
        daemon = self.file_key_daemon({"DontSignMailTo": "quiet@example.net", "ExemptDomains": "example.org",
                                       "Domain": "example.com,example.org"})
        self.assert_unsigned(daemon.send(harness.MESSAGE, Envelope(recipients=(b"<a@example.net>", b"<quiet@example.net>"))))
        self.assert_unsigned(daemon.send(harness.MESSAGE.replace(b"example.com", b"example.org")))
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))

    def test_subdomains(self):
        daemon = self.file_key_daemon({"SubDomains": "yes"})
        tags = self.tags(daemon.send(harness.MESSAGE.replace(b"alice@example.com", b"alice@a.b.example.com")))
        self.assertEqual(("example.com", "@example.com"), (tags["d"], tags["i"]))
        self.assert_unsigned(daemon.send(harness.MESSAGE.replace(b"alice@example.com", b"alice@notexample.com")))

    def test_sender_headers(self):
        daemon = self.file_key_daemon({"SenderHeaders": "Sender,From"})
        raw = harness.MESSAGE.replace(b"alice@example.com", b"eve@example.org")
        self.assert_signed(daemon.send(b"Sender: list@example.com\r\n" + raw), ("sel",))
        self.assert_unsigned(daemon.send(raw))

    def test_what_the_signature_says(self):
        daemon = self.file_key_daemon({
            "Canonicalization": "relaxed/relaxed", "SignatureTTL": "3600", "Diagnostics": "yes", "RequestReports": "yes",
            "SignHeaders": "*,+Message-ID,-Date", "OmitHeaders": "Cc", "OversignHeaders": "From,Subject,X-Never"})
        before = int(time.time())
        tags = self.tags(daemon.send(harness.MESSAGE.replace(b"Subject", b"Cc: c@example.net\r\nSubject")))
        self.assertEqual(("1", "rsa-sha256", "relaxed/relaxed", "example.com", "sel", "y"),
                         tuple(tags[name] for name in ("v", "a", "c", "d", "s", "r")))
        self.assertLessEqual(before, int(tags["t"]))
        self.assertEqual(3600, int(tags["x"]) - int(tags["t"]))
        self.assertEqual(sorted(["from", "from", "to", "subject", "subject", "message-id", "x-never"]),
                         sorted(tags["h"].lower().split(":")))
        self.assertIn("z", tags)

    def test_signer_of_the_table(self):
        """The second half of a SigningTable value becomes i=."""
        record = harness.make_key_file(self.path("key.pem"))
        self.zone = {"sel._domainkey.example.com": record}
        self.write("KeyTable", f"key example.com:sel:{self.path('key.pem')}\n")
        self.write("SigningTable", "alice@example.com key:news@example.com\n*@example.com key\n")
        daemon = self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable")})
        self.assertEqual("news@example.com", self.tags(daemon.send(harness.MESSAGE))["i"])
        self.assertNotIn("i", self.tags(daemon.send(harness.MESSAGE.replace(b"alice@", b"bob@"))))

    def test_headers_beyond_the_limit(self):
        daemon = self.file_key_daemon({"MaximumHeaders": "5000"})
        outcome = daemon.send(b"X-Large: " + b"x" * 6000 + b"\r\n" + harness.MESSAGE)
        self.assertTrue(outcome.temporary, f"{outcome.answer} {outcome.reply}")
        daemon.expect("too much header data")

    def test_actions(self):
        """On-TokenFailure for a key that can't sign: each action as the MTA sees it."""
        harness.need_token(self)
        for action, check in (("tempfail", lambda o: o.temporary), ("reject", lambda o: o.permanent),
                              ("discard", lambda o: o.answer == "discard"),
                              ("quarantine", lambda o: o.accepted and o.quarantine),
                              ("accept", lambda o: o.accepted and not o.signatures)):
            with self.subTest(action=action):
                daemon = self.token_daemon({"On-TokenFailure": action, "PKCS11Module": "/nonexistent/module.so",
                                            "TokenTimeout": "1s"}, token=getattr(self, "token", None),
                                           allowed=["cannot sign|module|token|signer"])
                outcome = daemon.send(harness.MESSAGE)
                self.assertTrue(check(outcome), f"{outcome.answer} {outcome.reply}")
                daemon.expect("On-TokenFailure")
                daemon.stop()


if __name__ == "__main__":
    harness.main()
