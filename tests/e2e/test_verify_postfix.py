#!/usr/bin/python3
"""Two hosts on this machine: Postfix A signs with keys on a token, Postfix B verifies through DNS; the sink behind B sees
the Authentication-Results. What A sends is real SMTP, what B takes away it takes away by Postfix's own counting."""
import os
import re

import harness
import postfix
from nameserver import Bind
from test_verify_dns import strings


class TwoHosts(harness.Case):
    policy = {"On-BadSignature": "reject"}

    def setUp(self):
        super().setUp()
        harness.need(self, os.geteuid() == 0, "root, to start Postfix")
        harness.need(self, os.path.exists("/usr/sbin/postfix"), "postfix")
        self.signer = self.token_daemon({"Canonicalization": "relaxed/simple"}, keys=("rsa2048", "ed25519"))
        records = "".join(f"{name.partition('.example.com')[0]} TXT {strings(record)}\n" for name, record in self.zone.items())
        self.names = Bind(self.path("named"), {"example.com": "@ NS ns1\nns1 A 127.0.0.1\n" + records})
        self.addCleanup(self.names.stop)
        self.verifier = self.daemon({"Mode": "v", "Nameservers": f"{self.names.address}@{self.names.port}",
                                     **self.policy}, allowed=["key retrieval failed"])
        self.sink = postfix.Sink()
        self.addCleanup(self.sink.close)
        self.b = self.start_postfix("b", self.verifier, self.sink.port, myhostname="mx.example.net")
        self.a = self.start_postfix("a", self.signer, self.b.port)

    def start_postfix(self, name, daemon, next_port, **more):
        os.chmod(daemon.socket.partition(":")[2], 0o666)
        os.mkdir(self.path(name))
        mta = postfix.Postfix(self.path(name), daemon.socket.replace("local:", "unix:"), next_port, **more)
        self.addCleanup(self.show, mta)
        self.addCleanup(mta.stop)
        return mta.start()

    def show(self, mta):
        if harness.failed(self):
            print(f"--- Postfix's log of {self.id()}\n{mta.log()}---")

    @staticmethod
    def results(raw):
        head = raw.partition(b"\r\n\r\n")[0]
        return re.findall(rb"(?im)^(authentication-results *:(?:.*\r\n(?:[ \t].*(?:\r\n|\Z))*))", head + b"\r\n")

    def test_signed_on_a_token_here_and_verified_there(self):
        for raw in (harness.MESSAGE, harness.MESSAGE + b"..dots\r\n.\r\n" + b"\r\n" * 5,
                    harness.MESSAGE + b"a longer line of text\r\n" * 20000):
            before = len(self.sink.messages)
            self.assertIsNone(self.a.smtp(raw))
            field, = self.results(self.sink.wait(before + 1)[-1][2])
            self.assertTrue(field.startswith(b"Authentication-Results: mx.example.net;"), field)
            self.assertEqual(2, field.count(b"dkim=pass"), field)
            self.assertIn(b"header.d=example.com", field)
            self.assertIn(b"header.a=ed25519-sha256", field)

    def test_forged_results_go_by_postfix_counting(self):
        forged = (b"Authentication-Results: mx.example.net; dkim=pass (forged 1)\r\n"
                  b"Authentication-Results: other.example.org; dkim=pass (kept 1)\r\n"
                  b"X-Between: 1\r\n"
                  b"authentication-results : MX.example.NET.; dkim=pass (forged 2)\r\n"
                  b"Authentication-Results:\r\n\tmx.example.net\r\n\t; dkim=pass (forged 3)\r\n"
                  b"Authentication-Results: other.example.org; dkim=pass (kept 2)\r\n"
                  b"Authentication-Results: mx.example.net; dkim (forged 4)\r\n")
        self.assertIsNone(self.a.smtp(forged + harness.MESSAGE))
        fields = self.results(self.sink.wait(1)[0][2])
        self.assertEqual(3, len(fields), fields)
        self.assertIn(b"dkim=pass (2048-bit key)", fields[0])
        self.assertIn(b"kept 1", fields[1])
        self.assertIn(b"kept 2", fields[2])

    def test_what_was_changed_on_the_way_is_refused(self):
        self.assertIsNone(self.a.smtp(harness.MESSAGE))
        good = self.sink.wait(1)[0][2]
        signed = good[good.index(b"DKIM-Signature:"):]
        error = self.b.smtp(signed.replace(b"Hello Bob", b"Hello Rob"))
        self.assertIn("550", str(error))
        self.assertIn("bad DKIM signature data", str(error))
        self.assertIsNone(self.b.smtp(signed))
        self.assertIn(b"dkim=pass", self.results(self.sink.wait(2)[1][2])[0])


class Redirected(TwoHosts):
    policy = {"RedirectFailuresTo": "postmaster@example.net"}

    def test_what_was_changed_on_the_way_is_refused(self):
        """Goes to another address instead, with Postfix's own recipients taken away."""
        self.assertIsNone(self.a.smtp(harness.MESSAGE, recipients=("bob@example.net", "carol@example.net")))
        good = self.sink.wait(1)[0][2]
        signed = good[good.index(b"DKIM-Signature:"):]
        self.assertIsNone(self.b.smtp(signed.replace(b"Hello Bob", b"Hello Rob"), recipients=("bob@example.net", "carol@example.net")))
        _, recipients, raw = self.sink.wait(2)[1]
        self.assertEqual([b"postmaster@example.net"], recipients)
        self.assertIn(b"Original-Recipient: rfc822;bob@example.net\r\n", raw)
        self.assertIn(b"Original-Recipient: rfc822;carol@example.net\r\n", raw)
        self.assertIn(b"dkim=fail", self.results(raw)[0])

    test_signed_on_a_token_here_and_verified_there = test_forged_results_go_by_postfix_counting = None


if __name__ == "__main__":
    harness.main()
