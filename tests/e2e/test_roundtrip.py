#!/usr/bin/python3
"""Every written message, signed through the milter protocol with RSA and Ed25519, accepted by dkimpy and Mail::DKIM."""
import random

import harness
import messages
import milterclient
import verifiers

CANONS = ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed")
DOMAINS = ("example.com", "sub.example.com", "bücher.example", "xn--bcher-kva.example")
SELECTORS = ("rsa2048", "ed25519")
# OpenDKIM needs a row for each spelling of a domain.
LISTED = DOMAINS if harness.FILTER == "opendkim" else [domain for domain in DOMAINS if "xn--" not in domain]
SIGNING_TABLE = "".join(f"*@{domain} {key}\n" for key in SELECTORS for domain in LISTED)


def chunkings(body):
    """Ways to cut a body: name -> sizes. Small pieces only where the body is small."""
    ways = {"halves": [max(1, len(body) // 2)], "primes": [4093]}
    if len(body) <= 4096:
        ways.update({"bytes": [1], "sevens": [7], "uneven": [1, 5, 2, 900]})
    cuts = random.Random(len(body))  # the same cuts each time
    ways["random"] = [cuts.randint(1, 1 + len(body) // 3) for _ in range(50)] + [65535]
    return ways


class RoundTrip(harness.Case):
    def make_keys(self):
        """@return (KeyTable text, environment, settings) for both keys, on a token when the filter can"""
        if harness.FILTER == "opendkim":
            records = {"rsa2048": harness.make_key_file(self.path("rsa.pem"))}
            keys = {"rsa2048": self.path("rsa.pem")}
            environment, settings = {}, {}
        else:
            harness.need_token(self)
            token = harness.TokenDirectory(self.path("token")).make()
            keys = {label: token.uris[label] for label in SELECTORS}
            records = {label: token.record(label) for label in SELECTORS}
            environment = token.environment()
            settings = {"PKCS11Module": harness.SOFTHSM, "PKCS11PinSource": "file:" + token.pin_file}
        self.selectors = list(keys)
        self.zone = {verifiers.key_name(label, domain): record
                     for label, record in records.items() for domain in DOMAINS}
        table = "".join(f"{label} %:{label}:{key}\n" for label, key in keys.items())
        signing = "".join(line + "\n" for line in SIGNING_TABLE.splitlines() if line.split()[1] in keys)
        return {"KeyTable": self.write("KeyTable", table),
                "SigningTable": "refile:" + self.write("SigningTable", signing),
                "MultipleSignatures": "yes", **settings}, environment

    def sign_all(self, canon):
        settings, environment = self.make_keys()
        daemon = self.daemon({**settings, "Canonicalization": canon}, environment,
                             allowed=[r"cannot sign: .*message has no usable From address.*rejected"])
        judges = verifiers.Verifiers(self.zone, self.directory)
        self.addCleanup(judges.close)
        for sample in messages.SAMPLES:
            with self.subTest(sample=sample.name, canon=canon):
                outcome = daemon.send(sample.message)
                self.judge(judges, sample, canon, outcome)
                if outcome.signatures:
                    self.cut(daemon, sample, outcome)

    def judge(self, judges, sample, canon, outcome):
        self.assertEqual(sample.answer == "reject", outcome.permanent, f"{outcome.answer} {outcome.reply}")
        self.assertEqual(sample.answer == "accept", outcome.accepted, f"{outcome.answer} {outcome.reply}")
        self.assertEqual(sample.signed, bool(outcome.signatures), "signed or not")
        if not sample.signed:
            self.assertEqual([], outcome.modifications)
            return
        tags = [verifiers.tags_of(value) for value in outcome.signatures]
        self.assertEqual(sorted(self.selectors), sorted(tag["s"] for tag in tags))
        written = sample.domain if harness.FILTER == "opendkim" else verifiers.dns_name(sample.domain)
        self.assertEqual({written}, {tag["d"] for tag in tags})
        self.assertEqual({canon}, {tag["c"] for tag in tags})
        for (name, selector), verdict in judges.verdicts(outcome.message.wire(), self.selectors).items():
            known = messages.disagreement(sample.name, name, canon, selector)
            self.assertEqual(known is None, verdict.good, f"{verdict}; in the table of disagreements: {known}")

    def cut(self, daemon, sample, whole):
        """However the body is cut, and however often the connection was used, the body hash stays."""
        hashes = {verifiers.tags_of(value)["bh"] for value in whole.signatures}
        with milterclient.MilterClient(daemon.socket) as client:
            for number, (name, sizes) in enumerate(chunkings(sample.message.body).items()):
                outcome = client.submit(sample.message, chunks=sizes, connect=number == 0)
                self.assertTrue(outcome.accepted, outcome.answer)
                self.assertEqual(hashes, {verifiers.tags_of(value)["bh"] for value in outcome.signatures}, name)

    def test_simple_simple(self):
        self.sign_all("simple/simple")

    def test_simple_relaxed(self):
        self.sign_all("simple/relaxed")

    def test_relaxed_simple(self):
        self.sign_all("relaxed/simple")

    def test_relaxed_relaxed(self):
        self.sign_all("relaxed/relaxed")

    def test_without_leading_space(self):
        """An MTA that does not know SMFIP_HDR_LEADSPC eats the space behind the colon: simple must still be right."""
        settings, environment = self.make_keys()
        daemon = self.daemon({**settings, "Canonicalization": "simple/simple"}, environment)
        judges = verifiers.Verifiers(self.zone, self.directory)
        self.addCleanup(judges.close)
        sample = messages.SAMPLES[0]
        outcome = daemon.send(sample.message, steps=milterclient.STEPS_ALL & ~milterclient.STEP_HDR_LEADSPC)
        self.judge(judges, sample, "simple/simple", outcome)


if __name__ == "__main__":
    harness.main()
