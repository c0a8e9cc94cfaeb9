#!/usr/bin/python3
"""Verifying through the milter protocol, keys from a file (TestPublicKeys): whose signatures are accepted, what the
Authentication-Results say, whose are removed, what the On- settings answer, and mail that means harm. The rules one by
one are in tests/unit/test_verify*.c and test_authres.c; DNS is in test_verify_dns.py."""
import base64
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time

import dkim

import harness
import milterclient
import verifiers

OUTSIDE = milterclient.Envelope(host=b"mx.example.org", address="192.0.2.25")
OURS = b"mail.example.com"  # what the MTA calls itself (macro j)

BODY = b"Hello Bob.\r\n\r\nA second part  with  spaces.\r\n"
PLAIN = harness.MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + BODY


class VerifyCase(harness.Case):
    """RSA and Ed25519 keys of example.com, their records in a file."""

    def setUp(self):
        super().setUp()
        self.keys, self.zone = {}, {}
        for selector, kind in (("rsa", "rsa:2048"), ("ed", "ed25519")):
            self.keys[selector] = self.path(selector + ".pem")
            self.zone[f"{selector}._domainkey.example.com"] = harness.make_key_file(self.keys[selector], kind, owner="root")

    def verifier(self, settings=None, zone=None, **options):
        records = "".join(f"{name} {record}\n" for name, record in {**self.zone, **(zone or {})}.items())
        return self.daemon({"Mode": "v", "TestPublicKeys": self.write("records", records, 0o644), **(settings or {})}, **options)

    def sign(self, raw=PLAIN, selector="rsa", domain=b"example.com", **options):
        """By dkimpy. @return the signed message"""
        with open(self.keys[selector], "rb") as file:
            key = file.read()
        if selector == "ed":  # dkimpy wants the bare seed
            der = subprocess.run(["openssl", "pkey", "-in", self.keys[selector], "-outform", "DER"], check=True,
                                 capture_output=True).stdout
            key = base64.b64encode(der[-32:])
            options["signature_algorithm"] = b"ed25519-sha256"
        options.setdefault("canonicalize", (b"relaxed", b"relaxed"))
        return dkim.sign(raw, selector.encode(), domain, key, **options) + raw

    def results(self, daemon, raw, **options):
        """What was added, unfolded; the message must be accepted."""
        outcome = daemon.send(raw, OUTSIDE, **options)
        self.assertTrue(outcome.accepted, f"{outcome.answer} {outcome.reply}")
        return [re.sub(rb"\n\s+", b" ", value).strip().decode() for value in outcome.results]

    def assert_result(self, daemon, raw, word, reason=None):
        results = self.results(daemon, raw)
        self.assertEqual(1, len(results), results)
        wanted = f"mail.example.com; dkim={word}" + (f' reason="{reason}"' if reason else " ")
        self.assertTrue(results[0].startswith(wanted), f"{results[0]}\nis not {wanted}")


class Signers(VerifyCase):
    """Messages of other signers are accepted; changed in one place they are not."""

    def mail_dkim(self, raw, canon):
        script = ('use Mail::DKIM::Signer; my $s = Mail::DKIM::Signer->new(Algorithm => "rsa-sha256", Method => "%s", '
                  'Domain => "example.com", Selector => "rsa", KeyFile => "%s"); binmode STDIN; '
                  'local $/; my $m = <STDIN>; $s->PRINT($m); $s->CLOSE; print $s->signature->as_string . "\\r\\n";' %
                  (canon, self.keys["rsa"]))
        return harness.run(["perl", "-e", script], input=raw) + raw

    def opendkim(self, raw, canon):
        """Through the distribution's daemon."""
        program = "/usr/sbin/opendkim"
        harness.need(self, os.access(program, os.X_OK), program)
        directory = self.path("opendkim-" + canon.replace("/", "-"))
        os.mkdir(directory)
        daemon = harness.Daemon(directory, {"Domain": "example.com", "Selector": "rsa", "KeyFile": self.keys["rsa"],
                                            "Canonicalization": canon, "RequireSafeKeys": "no", "UserID": None,
                                            "Syslog": "no"}, program=program)
        self.addCleanup(daemon.kill)
        daemon.start()
        outcome = daemon.send(raw)
        daemon.kill()
        self.assertEqual(1, len(outcome.signatures))
        return outcome.message.wire()

    def every_signer(self):
        for canon in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
            pair = tuple(canon.encode().split(b"/"))
            yield f"dkimpy {canon}", self.sign(canonicalize=pair)
            yield f"dkimpy ed25519 {canon}", self.sign(selector="ed", canonicalize=pair)
            yield f"Mail::DKIM {canon}", self.mail_dkim(PLAIN, canon)
            yield f"OpenDKIM {canon}", self.opendkim(PLAIN, canon)

    def test_are_accepted_and_each_change_is_not(self):
        daemon = self.verifier({"On-BadSignature": "accept"})
        for name, raw in self.every_signer():
            with self.subTest(signer=name):
                self.assert_result(daemon, raw, "pass")
                head, _, body = raw.partition(b"\r\n\r\n")
                changed = {
                    "a word of the body": head + b"\r\n\r\n" + body.replace(b"Bob", b"Rob"),
                    "a line more": raw + b"P.S.\r\n",
                    "a line less": head + b"\r\n\r\n" + body[:body.index(b"A second")],
                    "Subject": raw.replace(b"Subject: A test", b"Subject: A tent"),
                    "From": raw.replace(b"From: Alice <alice@", b"From: Alice <alicf@"),
                    "a second From": b"From: Eve <eve@example.com>\r\n" + raw,
                    "h=": re.sub(rb"([hH]=[^;]*)(:\s*[sS]ubject)", rb"\1", raw, count=1),
                    "a bit of b=": self.flip(raw, rb"(?<![a-z])b=\s*"),
                    "a bit of bh=": self.flip(raw, rb"bh=\s*"),
                    "t=": re.sub(rb"([; \t])t=(\d)", rb"\1t=1\2", raw, count=1),
                }
                for place, text in changed.items():
                    if text == raw:
                        continue  # this signer writes no such thing
                    results = self.results(daemon, text)
                    self.assertNotIn("dkim=pass", results[0], place)

    @staticmethod
    def flip(raw, start):
        at = re.search(start, raw).end()
        return raw[:at] + (b"A" if raw[at:at + 1] != b"A" else b"B") + raw[at + 1:]

    def test_our_own_through_two_daemons(self):
        """What hsmdkim signs it verifies, in all canonicalizations, RSA and Ed25519 on one message."""
        verifier = self.verifier()
        if os.geteuid() == 0:
            for path in self.keys.values():
                shutil.chown(path, harness.USER)
        self.write("KeyTable", "".join(f"{s} example.com:{s}:{path}\n" for s, path in self.keys.items()))
        self.write("SigningTable", "*@example.com rsa\n*@example.com ed\n")
        for canon in ("simple/simple", "relaxed/relaxed", "simple/relaxed", "relaxed/simple"):
            signer = self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                                  "MultipleSignatures": "yes", "Canonicalization": canon, "RequireSafeKeys": "no"})
            raw = signer.send(PLAIN).message.wire()
            results = self.results(verifier, raw)
            self.assertEqual(2, results[0].count("dkim=pass"), results)
            self.assertIn("header.a=ed25519-sha256", results[0])
            signer.stop()

    def test_any_split_of_the_body(self):
        daemon = self.verifier()
        raw = self.sign(raw=PLAIN + b"\r\n" * 3)
        message = milterclient.Message.parse(raw)
        dice = random.Random(3)
        splits = [[1], [2], [3], [7], [65535]] + [[dice.randint(1, 20) for _ in range(20)] for _ in range(20)]
        for chunks in splits:
            outcome = milterclient.send(daemon.socket, message, OUTSIDE, chunks=chunks)
            self.assertIn(b"dkim=pass", outcome.results[0], chunks)
        for steps in (milterclient.STEPS_ALL & ~milterclient.STEP_HDR_LEADSPC, milterclient.STEPS_ALL & ~milterclient.STEP_SKIP):
            outcome = milterclient.send(daemon.socket, message, OUTSIDE, steps=steps)
            self.assertIn(b"dkim=pass", outcome.results[0], hex(steps))


class Results(VerifyCase):
    FORGED = [  # removed: they claim to be of this host
        b" mail.example.com; dkim=pass", b" MAIL.Example.COM; dkim=pass", b" mail.example.com.; dkim=pass",
        b' "mail.example.com"; dkim=pass', b" (a comment) mail.example.com (another) ; dkim=pass",
        b"\n\tmail.example.com\n\t;\n\tdkim=pass", b" mail.example.com 1; dkim=pass", b" mail.example.com/4QxYzA1b2C; dkim=pass",
        b" mail.example.com; dkim", b" mail.example.com; dkim=", b' mail.example.com; dkim=pass header.d="open',
        b" mail.example.com; spf=pass; dkim=pass", b" mail.example.com" + b"; dkim=pass header.d=a.example" * 100,
        b" mail.example.com (never closed; dkim=pass", b"mail.example.com;dkim=pass", b"", b" ; dkim=pass",
        b" =?utf-8?q?mail=2Eexample=2Ecom?=; dkim=pass", b" mail.example.com; spf=pass dkim=pass header.d=bank.example",
        b" mail.example.com; spf=pass,dkim=pass", b" mail.example.com; spf=pass (dkim=pass)", b" mail.example.com:25; dkim=pass",
        b" x/mail.example.com; dkim=pass", b" mail.example.com\xc2\xa0; dkim=pass", b" i=1; mail.example.com; dkim=pass",
        b" mail.example.com; spf=pass dkim(x)=pass header.d=bank.example", b' mail.example.com; spf=pass "dkim"=pass',
        b" mail.example.com;\n\tspf=none\n\tdkim(a)=pass",
    ]
    KEPT = [
        b" other.example.net; dkim=pass header.d=example.com", b" example.com; dkim=pass",
        b" mail.example.com.evil.example; dkim=pass", b" other.example.net (mail.example.com); dkim=pass",
        b" mail.example.com; spf=pass smtp.mailfrom=a@example.org",  # another filter's of this host
    ]

    def test_forged_ones_go_and_others_stay(self):
        daemon = self.verifier()
        raw = self.sign()
        for value in self.FORGED + self.KEPT:
            with self.subTest(value=value[:60]):
                message = milterclient.Message.parse(raw)
                message.fields.insert(0, (b"Authentication-Results", value))
                outcome = milterclient.send(daemon.socket, message, OUTSIDE)
                left = outcome.message.values(b"Authentication-Results")
                self.assertIn(b"dkim=pass (2048-bit key)", left[0])
                self.assertEqual([value] if value in self.KEPT else [], left[1:])

    def test_several_at_once(self):
        """Forged and honest ones in any order: exactly the forged ones go, whatever their number."""
        daemon = self.verifier()
        raw = self.sign()
        dice = random.Random(8)
        for _ in range(25):
            values = [dice.choice(self.FORGED + self.KEPT) for _ in range(dice.randint(2, 30))]
            message = milterclient.Message.parse(raw)
            for value in values:
                name = dice.choice([b"Authentication-Results", b"authentication-results", b"AUTHENTICATION-RESULTS"])
                message.fields.insert(dice.randint(0, len(message.fields)), (name, value))
            before = message.values(b"Authentication-Results")
            outcome = milterclient.send(daemon.socket, message, OUTSIDE)
            left = outcome.message.values(b"Authentication-Results")
            self.assertEqual([value for value in before if value in self.KEPT], left[1:])

    def test_what_passes_in_spite_of_an_error_brings_none_either(self):
        """On-Security accept: of a header that is too long nothing is left that speaks in our name, seen or not."""
        for action in ("accept", "quarantine"):
            daemon = self.verifier({"On-Security": action}, allowed=["too much header data"])
            message = milterclient.Message.parse(self.sign())
            kept = (b"Authentication-Results", b" other.example.net; dkim=pass")
            forged = (b"Authentication-Results", b" mail.example.com; dkim=pass")
            message.fields[:0] = [forged, kept]
            message.fields += [(b"X", b" y")] * 2100 + [forged, forged]
            outcome = milterclient.send(daemon.socket, message, OUTSIDE)
            self.assertTrue(outcome.accepted)
            self.assertEqual(action == "quarantine", outcome.quarantine != b"")
            self.assertEqual([kept[1]], outcome.message.values(b"Authentication-Results"))
            daemon.stop()

    def test_forged_ones_go_from_exempt_mail_too(self):
        """ExemptDomains is decided by From, which anyone can write; nothing is looked up, and nothing added."""
        ours = b"Authentication-Results: mail.example.com; dkim=pass header.d=example.com\r\n"
        other = b"Authentication-Results: other.example.net; dkim=pass\r\n"
        keys = {"Domain": "example.net", "Selector": "rsa", "KeyFile": self.keys["rsa"]}
        for mode, settings in (("v", {}), ("sv", keys)):
            with self.subTest(mode=mode):
                daemon = self.verifier({**settings, "Mode": mode, "ExemptDomains": "example.com", "SoftwareHeader": "yes"})
                outcome = daemon.send(other + ours + ours + self.sign(), OUTSIDE)
                self.assertEqual([b" other.example.net; dkim=pass"], outcome.message.values(b"Authentication-Results"))
                self.assertEqual([], outcome.results)
                self.assertEqual([], daemon.send(self.sign(), OUTSIDE).modifications)
                daemon.stop()
        daemon = self.verifier({**keys, "Mode": "s", "ExemptDomains": "example.com"})
        self.assertEqual([], daemon.send(ours + self.sign(), OUTSIDE).modifications)

    def test_unsigned_mail(self):
        daemon = self.verifier()
        outcome = daemon.send(b"Authentication-Results: mail.example.com; dkim=pass\r\n" + PLAIN, OUTSIDE)
        self.assertEqual([], outcome.message.values(b"Authentication-Results"))
        self.assertEqual([], self.results(daemon, PLAIN))
        daemon = self.verifier({"AlwaysAddARHeader": "yes", "SoftwareHeader": "yes"})
        outcome = daemon.send(PLAIN, OUTSIDE)
        self.assertEqual([b" mail.example.com;\n\tdkim=none"], outcome.results)
        self.assertEqual(1, len(outcome.message.values(b"DKIM-Filter")))

    def test_settings(self):
        raw = self.sign()
        forged = b"Authentication-Results: mail.example.com; dkim=pass (forged)\r\n"
        spf = b"Authentication-Results: mail.example.com; spf=pass\r\n"
        partner = b"Authentication-Results: a.partner.example; dkim=pass\r\n"
        host = os.uname().nodename
        rows = [  # settings, what is before the message, what is left of it, what the new field begins with
            ({"AuthservID": "results.example.com"}, forged, 1, "results.example.com; dkim=pass"),
            ({"AuthservID": "HOSTNAME"}, b"", 0, f"{host}; dkim=pass"),
            ({"AuthservIDWithJobID": "yes"}, forged, 0, '"mail.example.com/4QxYzA1b2C"; dkim=pass'),
            ({"KeepAuthResults": "yes"}, forged, 1, "mail.example.com; dkim=pass"),
            ({"RemoveARAll": "yes"}, spf + forged, 0, "mail.example.com; dkim=pass"),
            ({}, partner, 1, "mail.example.com; dkim=pass"),
            ({"RemoveARFrom": ".partner.example"}, partner + forged, 0, "mail.example.com; dkim=pass"),
            ({"RemoveARFrom": "a.partner.example"}, partner, 0, "mail.example.com; dkim=pass"),
            ({"RemoveARFrom": "b.partner.example"}, partner, 1, "mail.example.com; dkim=pass"),
        ]
        for settings, before, left, begin in rows:
            with self.subTest(settings=settings):
                daemon = self.verifier(settings)
                outcome = daemon.send(before + raw, OUTSIDE)
                values = outcome.message.values(b"Authentication-Results")
                self.assertEqual(left, len(values) - 1)
                self.assertTrue(values[0].strip().decode().replace("\n\t", " ").startswith(begin), values[0])
                daemon.stop()
        daemon = self.verifier({"NoHeaderB": "yes"})
        self.assertNotIn("header.b=", self.results(daemon, raw)[0])

    def test_without_the_right_to_remove_fields_no_session(self):
        daemon = self.verifier(allowed=[r"required milter action"])
        with self.assertRaises(milterclient.MilterError):
            with milterclient.MilterClient(daemon.socket, actions=0x1) as client:
                client.submit(milterclient.Message.parse(PLAIN), OUTSIDE)
        daemon.expect("required milter action")

    def test_nothing_in_a_signature_breaks_the_field(self):
        daemon = self.verifier()
        for identity in (b"=0D=0ABcc:=20eve@example.org@example.com", b'"a=22b"@example.com', b"=22;=20dkim=3Dpass@example.com",
                         b"=C3=BC@example.com", b"a=20b=20c@example.com", b"=00@example.com", b"=5C=22@example.com"):
            raw = self.sign().replace(b"i=@example.com", b"i=" + identity)
            outcome = daemon.send(raw, OUTSIDE)
            self.assertTrue(outcome.accepted)
            value, = outcome.results
            self.assertNotIn(b"\r", value)
            self.assertRegex(value, rb"\A[\t -~\n]*\Z")
            self.assertNotRegex(value, rb"\n[^\t ]")
            self.assertEqual(1, len(re.findall(rb"dkim=(?![^\"]*\"[^\"]*(?:\"|\Z))|^dkim=|;\n\tdkim=", value)), value)


    def test_a_domain_that_only_looks_like_another_is_none(self):
        """d= that is mapped to example.com, and signed with its key: our field names no domain that DNS was not asked for."""
        daemon = self.verifier()
        for domain in ("ex\u200bample.com", "ex\u00adample.com", "\uff45xample.com", "example\u3002com"):
            self.assert_result(daemon, self.sign(domain=domain.encode()), "permerror", "domain tag invalid")


class OnSettings(VerifyCase):
    def cases(self):
        good = self.sign()
        return {
            "On-BadSignature": (good.replace(b"Bob", b"Rob"), "bad DKIM signature data"),
            "On-KeyNotFound": (good.replace(b"s=rsa;", b"s=gone;"), "DKIM key retrieval failed"),
            "On-NoSignature": (PLAIN, "no DKIM signature data"),
        }

    def test_each_action(self):
        actions = {"accept": "", "a": "", "reject": "550 5.7.0", "r": "550 5.7.0", "tempfail": "451 4.7", "t": "451 4.7",
                   "discard": "discard", "quarantine": "quarantine", "q": "quarantine"}
        for setting, (raw, text) in self.cases().items():
            for action, wanted in actions.items():
                with self.subTest(setting=setting, action=action):
                    daemon = self.verifier({setting: action}, allowed=["key retrieval failed"])
                    outcome = daemon.send(raw, OUTSIDE)
                    if wanted == "quarantine":
                        self.assertEqual(text.encode(), outcome.quarantine)
                        self.assertTrue(outcome.accepted)
                    elif wanted == "discard":
                        self.assertEqual("discard", outcome.answer)
                    elif wanted == "":
                        self.assertTrue(outcome.accepted)
                    else:
                        self.assertTrue(outcome.reply.decode().startswith(wanted), outcome.reply)
                        self.assertTrue(outcome.reply.decode().endswith(text), outcome.reply)
                        self.assertEqual([], outcome.modifications)
                    self.assertTrue(daemon.send(self.sign(), OUTSIDE).accepted)
                    daemon.stop()

    def test_defaults_and_on_default(self):
        daemon = self.verifier(allowed=["key retrieval failed"])
        for raw, _ in self.cases().values():
            self.assertTrue(daemon.send(raw, OUTSIDE).accepted)
        daemon = self.verifier({"On-Default": "reject", "On-NoSignature": "accept"}, allowed=["key retrieval failed"])
        answers = [daemon.send(raw, OUTSIDE).permanent for raw, _ in self.cases().values()]
        self.assertEqual([True, True, False], answers)

    def test_one_good_signature_is_enough(self):
        daemon = self.verifier({"On-Default": "reject"}, allowed=["key retrieval failed"])
        good = self.sign()
        gone = self.sign(selector="ed").replace(b"s=ed;", b"s=gone;")
        both = gone[:gone.index(b"From:")] + good
        results = self.results(daemon, both)
        self.assertIn("dkim=permerror", results[0])
        self.assertIn("dkim=pass", results[0])

    def test_a_testing_key_lets_a_bad_signature_pass(self):
        zone = {"rsa._domainkey.example.com": self.zone["rsa._domainkey.example.com"].replace("k=rsa;", "k=rsa; t=y;")}
        daemon = self.verifier({"On-BadSignature": "reject"}, zone=zone)
        results = self.results(daemon, self.sign().replace(b"Bob", b"Rob"))
        self.assertIn("dkim=fail", results[0])
        self.assertIn("testing", results[0])

    def test_an_id_that_could_not_be_found_again_is_an_error(self):
        daemon = self.daemon({"Mode": "v", "AuthservID": '"my mail server"'}, start=False)
        run = subprocess.run([daemon.program, "-n", "-x", daemon.conf], capture_output=True, text=True, check=False)
        self.assertEqual(78, run.returncode)
        self.assertIn("AuthservID", run.stderr)

    def test_the_author_is_from_whatever_sender_headers_says(self):
        self.zone["rsa._domainkey.evil.example"] = self.zone["rsa._domainkey.example.com"]
        raw = self.sign(raw=b"Sender: x@evil.example\r\n" + PLAIN, domain=b"evil.example")
        daemon = self.verifier({"SenderHeaders": "Sender,From", "TrustSignaturesFrom": "other.example", "AlwaysAddARHeader": "yes"})
        self.assertEqual(["mail.example.com; dkim=none"], self.results(daemon, raw))

    def test_a_wrong_word_is_an_error_at_start(self):
        for setting in ("On-BadSignature", "On-DNSError", "On-KeyNotFound", "On-NoSignature", "On-Security"):
            daemon = self.daemon({"Mode": "v", setting: "bogus"}, start=False)
            run = subprocess.run([daemon.program, "-n", "-x", daemon.conf], capture_output=True, text=True, check=False)
            self.assertEqual(78, run.returncode)
            self.assertIn(setting, run.stderr)

    def test_quarantine_and_redirect(self):
        bad = self.sign().replace(b"Bob", b"Rob")
        daemon = self.verifier({"Quarantine": "yes"})
        self.assertEqual(b"bad DKIM signature data", daemon.send(bad, OUTSIDE).quarantine)
        self.assertEqual(b"", daemon.send(self.sign(), OUTSIDE).quarantine)
        daemon = self.verifier({"RedirectFailuresTo": "postmaster@example.com"})
        outcome = daemon.send(bad, OUTSIDE)
        self.assertIn(("add recipient", 0, b"postmaster@example.com", b""), outcome.modifications)
        self.assertIn(("delete recipient", 0, b"<recipient@example.net>", b""), outcome.modifications)
        self.assertEqual([b" rfc822;recipient@example.net"], outcome.message.values(b"Original-Recipient"))
        outcome = daemon.send(self.sign(), OUTSIDE)
        self.assertEqual(["insert"], [change[0] for change in outcome.modifications])

    def test_must_be_signed_minimum_and_key_bits(self):
        raw = self.sign(include_headers=[b"From", b"To"])
        daemon = self.verifier({"MustBeSigned": "Subject"})
        self.assert_result(daemon, raw, "policy", "unprotected header field")
        self.assert_result(daemon, self.sign(), "pass")
        partial = self.sign(length=True) + b"An advertisement.\r\n"
        for minimum, word in ((None, "policy"), ("20", "pass"), ("90%", "policy"), ("10%", "pass"), ("5+", "policy"), ("50+", "pass")):
            daemon = self.verifier({"Minimum": minimum})
            self.assert_result(daemon, partial, word)
            daemon.stop()
        daemon = self.verifier({"MinimumKeyBits": "3072"})
        self.assert_result(daemon, self.sign(), "policy", "signing key too small")

    def test_trust_signatures_from(self):
        self.zone["rsa._domainkey.list.example"] = self.zone["rsa._domainkey.example.com"]
        raw = self.sign(domain=b"list.example")
        self.assert_result(self.verifier(), raw, "pass")
        daemon = self.verifier({"TrustSignaturesFrom": "other.example", "AlwaysAddARHeader": "yes"})
        self.assertEqual(["mail.example.com; dkim=none"], self.results(daemon, raw))
        daemon.expect("ignoring signature from list.example")
        self.assert_result(daemon, self.sign(), "pass")
        self.assert_result(self.verifier({"TrustSignaturesFrom": "list.example"}), raw, "pass")

    def test_clock(self):
        now = int(time.time())
        zone = self.zone

        def stamped(t, x=0):
            raw = self.sign()
            return re.sub(rb" t=\d+;", b" t=%d;%s" % (t, b" x=%d;" % x if x else b""), raw, count=1)

        daemon = self.verifier()
        self.assert_result(daemon, stamped(now + 4000), "fail", "signature timestamp in the future")
        self.assert_result(daemon, stamped(now - 9000, now - 4000), "fail", "signature expired")
        results = self.results(daemon, stamped(now + 100))  # within ClockDrift: the changed field is what fails
        self.assertIn("signature verification failed", results[0])
        self.assertEqual(zone, self.zone)

    def test_sv_signs_ours_and_verifies_the_rest(self):
        daemon = self.verifier({"Mode": "sv", "Domain": "example.com", "Selector": "rsa", "KeyFile": self.keys["rsa"]})
        inside = daemon.send(PLAIN)
        self.assertEqual((1, 0), (len(inside.signatures), len(inside.results)))
        outside = daemon.send(inside.message.wire(), OUTSIDE)
        self.assertEqual((0, 1), (len(outside.signatures), len(outside.results)))
        self.assertIn(b"dkim=pass", outside.results[0])
        other = daemon.send(PLAIN.replace(b"alice@example.com", b"carol@example.org"))
        self.assertEqual([], other.modifications)

    def test_the_log(self):
        daemon = self.verifier({"LogResults": "yes", "On-NoSignature": "quarantine"}, allowed=["key retrieval failed"])
        two = self.sign(selector="ed")
        two = two[:two.index(b"From:")] + self.sign()
        for raw in (self.sign(), two, self.sign().replace(b"Bob", b"Rob"), self.sign().replace(b"s=rsa;", b"s=gone;"), PLAIN):
            self.assertTrue(daemon.send(raw, OUTSIDE).accepted)
        for pattern in (r"4QxYzA1b2C: DKIM verification successful\n",
                        r'4QxYzA1b2C: signature=\S{8} domain=example\.com selector=rsa result="no signature error"\n',
                        r"4QxYzA1b2C: message has signatures from example\.com, example\.com\n",
                        r"4QxYzA1b2C: bad signature data\n", r"4QxYzA1b2C: no signature data\n",
                        r"4QxYzA1b2C: key retrieval failed \(s=gone, d=example\.com\): 'gone\._domainkey\.example\.com' record not found\n"):
            daemon.expect(pattern)

    def test_a_reload_cannot_open_the_resolver(self):
        """A process that only signs has none; the reload is refused whole, in words, and signing goes on."""
        daemon = self.daemon({"Mode": "s", "Domain": "example.com", "Selector": "rsa", "KeyFile": self.keys["rsa"],
                              "TestPublicKeys": self.write("records", "x y\n", 0o644)}, allowed=["Mode verifies now", "reload failed: "])
        daemon.configure(Mode="sv")
        daemon.signal(signal.SIGUSR1)
        daemon.expect("Mode verifies now: the resolver is opened at start only; restart hsmdkim")
        self.assertEqual(1, len(daemon.send(PLAIN).signatures))


class Hostile(VerifyCase):
    """The bars for hostile mail; what needs no daemon is in tests/unit/test_verifypolicy.c and the fuzz targets."""

    def cpu(self, daemon):
        with open(f"/proc/{daemon.milter_pid()}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cost(self, daemon, raw, count=1):
        before = self.cpu(daemon)
        for _ in range(count):
            outcome = daemon.send(raw, OUTSIDE, timeout=120)
        return self.cpu(daemon) - before, outcome

    def test_signature_flood(self):
        """1,990 signatures: eight are looked at, the author's first; no more names are asked for."""
        daemon = self.verifier({"MaximumHeaders": "16777216"}, allowed=["key retrieval failed"])
        junk = b"".join(b"DKIM-Signature: v=1; a=rsa-sha256; d=evil%d.example; s=x; h=from; bh=%s; b=AAAA\r\n" % (i, b"A" * 43 + b"=")
                        for i in range(1980))
        seconds, outcome = self.cost(daemon, junk + self.sign())
        self.assertEqual(8, outcome.results[0].count(b"dkim="))
        self.assertIn(b"dkim=pass", outcome.results[0])
        self.assertLess(seconds, 5)
        daemon.expect("ignoring 1973 signatures")

    def test_giant_headers(self):
        daemon = self.verifier(allowed=["too much header data"])
        outcome = daemon.send((b"X-Big: " + b"a" * 60000 + b"\r\n") * 5 + self.sign(), OUTSIDE)
        self.assertTrue(outcome.temporary, outcome.answer)
        many = b"".join(b"X-%d: y\r\n" % i for i in range(2100))
        outcome = daemon.send(many + self.sign(), OUTSIDE)
        self.assertTrue(outcome.temporary, outcome.answer)
        daemon = self.verifier({"On-Security": "reject"}, allowed=["too much header data"])
        self.assertTrue(daemon.send(many + self.sign(), OUTSIDE).permanent)

    def test_hostile_key_records(self):
        raw = self.sign()
        good = self.zone["rsa._domainkey.example.com"]
        spki = {}
        for name, bits, exponent in (("16384 bits", 16384, 65537), ("even exponent", 1024, 65536), ("exponent 1", 1024, 1),
                                     ("exponent as large as the modulus", 1024, (1 << 1023) + 1), ("512 bits", 512, 65537)):
            spki[name] = "v=DKIM1; k=rsa; p=" + rsa_spki(bits, exponent)
        records = {
            **spki, "empty": "", "garbage": "\\x01\\x02", "no p=": "v=DKIM1; k=rsa", "p= of 16 KB": "v=DKIM1; p=" + "A" * 16000,
            "not base64": "v=DKIM1; p=!!!!", "revoked": "v=DKIM1; p=", "other type": good.replace("k=rsa", "k=dsa"),
            "sha1 only": good.replace("k=rsa;", "k=rsa; h=sha1;"), "other service": good.replace("k=rsa;", "k=rsa; s=tlsrpt;"),
            "v= second": good.replace("v=DKIM1; k=rsa;", "k=rsa; v=DKIM1;"), "Ed25519 of 31 bytes": "v=DKIM1; k=ed25519; p=" + "A" * 42 + "==",
        }
        for name, record in records.items():
            with self.subTest(record=name):
                daemon = self.verifier(zone={"rsa._domainkey.example.com": record}, allowed=["key retrieval failed"])
                seconds, outcome = self.cost(daemon, raw)
                self.assertTrue(outcome.accepted)
                self.assertRegex(outcome.results[0], rb"dkim=(permerror|fail|policy) ", name)
                self.assertLess(seconds, 2)
                daemon.stop()
        for name, record in {"bare RSAPublicKey": "v=DKIM1; p=" + bare_rsa(self.keys["rsa"]), "no k=": good.replace("k=rsa; ", ""),
                             "no v=": good.replace("v=DKIM1; ", ""), "blanks in p=": good[:60] + " \t" + good[60:]}.items():
            with self.subTest(record=name):
                daemon = self.verifier(zone={"rsa._domainkey.example.com": record})
                self.assert_result(daemon, raw, "pass")
                daemon.stop()

    def test_a_key_of_small_order_needs_no_private_key_and_is_none(self):
        """The point 1 as the key and in the signature, with the number 0: good for anyone who only computes."""
        point = b"\1" + bytes(31)
        signature, _, rest = self.sign(selector="ed").partition(b"\r\nFrom:")
        raw = re.sub(rb" b=.*", b" b=" + base64.b64encode(point + bytes(32)), signature, flags=re.S) + b"\r\nFrom:" + rest
        daemon = self.verifier(zone={"ed._domainkey.example.com": "v=DKIM1; k=ed25519; p=" + base64.b64encode(point).decode()})
        self.assert_result(daemon, raw, "permerror", "unable to apply public key")

    def test_tricks_with_h(self):
        daemon = self.verifier()
        raw = self.sign()
        signature, _, rest = raw.partition(b"\r\nFrom:")
        without_from = re.sub(rb"\bfrom\b", b"x-from", signature) + b"\r\nFrom:" + rest
        self.assert_result(daemon, without_from, "permerror", "header list missing required entries")
        long = re.sub(rb" h=", b" h=" + b"x:" * 2300, raw, count=1)
        self.assert_result(daemon, long, "permerror", "header list too long")
        self.assert_result(daemon, re.sub(rb" h=", b" h=:", raw, count=1), "permerror")
        itself = re.sub(rb" h=", b" h=dkim-signature:", raw, count=1)
        self.assertNotIn("pass", self.results(daemon, itself)[0])

    def test_bare_cr_and_smuggling_forms(self):
        """A body that an MTA could read in two ways is hashed as it came: no verdict changes by how it is cut."""
        daemon = self.verifier()
        for tail in (b"a\rb\r\n", b"a\nb\r\n", b"x\r\n.\r\nMAIL FROM:<eve@example.org>\r\n", b"\n.\n", b"\r.\r", b"\0\r\n", b"a\r\r\n", b"\n\r\n"):
            signed = self.sign()
            changed = signed + tail
            self.assert_result(daemon, changed, "fail", "body hash did not verify")
            message = milterclient.Message.parse(changed)
            words = {re.search(rb"dkim=(\w+)", milterclient.send(daemon.socket, message, OUTSIDE, chunks=[n]).results[0])[1]
                     for n in (1, 2, 5, 65535)}
            self.assertEqual({b"fail"}, words)

    def test_quadratic_inputs_are_linear(self):
        """Each form ten times as long costs about ten times as much, not a hundred times."""
        daemon = self.verifier({"MaximumHeaders": "16777216"}, allowed=["key retrieval failed"])
        signature = self.sign().partition(b"\r\nFrom:")[0] + b"\r\n"
        forms = {
            "one name many times": lambda n: signature + b"X-A: b\r\n" * n + PLAIN,
            "tags": lambda n: b"DKIM-Signature: " + b"a=b;" * n + b"\r\n" + PLAIN,
            "blanks in a tag": lambda n: b"DKIM-Signature: v=1;" + b" " * (4 * n) + b"\r\n" + PLAIN,
            "comments": lambda n: b"Authentication-Results: " + b"(" * n + b"\r\n" + PLAIN,
            "blank lines": lambda n: signature + PLAIN + b"\r\n" * n,
            "blanks in a line": lambda n: signature + PLAIN + b" " * (8 * n) + b"\r\n",
            "alternating": lambda n: signature + PLAIN + b"a " * (4 * n) + b"\r\n",
        }
        for name, form in forms.items():
            with self.subTest(form=name):
                # A field has to fit into a packet of 64 KB, a header has 2,000 fields at most.
                base = {"one name many times": 190, "tags": 1600, "blanks in a tag": 1600, "comments": 6400}.get(name, 20000)
                small, _ = self.cost(daemon, form(base), count=3)
                large, _ = self.cost(daemon, form(10 * base), count=3)
                self.assertLess(large, 30 * (small + 0.05), f"{small:.3f} s, then {large:.3f} s")

    def test_memory_of_a_large_body(self):
        # A sanitizer keeps what was freed for a while.
        daemon = self.verifier(environment={"ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"})
        raw = self.sign()

        def peak():
            with open(f"/proc/{daemon.milter_pid()}/status", encoding="ascii") as file:
                return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])

        daemon.send(raw, OUTSIDE)
        before = peak()
        daemon.send(raw + b"a line of a large message\r\n" * 2000000, OUTSIDE, timeout=120)
        self.assertLess(peak() - before, 2048)


def der(tag, content):
    size = len(content)
    head = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + head + content


def der_int(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def rsa_spki(bits, exponent):
    """A public key that nobody made: an odd modulus of that size."""
    key = der(0x30, der_int((1 << (bits - 1)) + 12345) + der_int(exponent))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d010101") + b"\x05\x00")
    return base64.b64encode(der(0x30, algorithm + der(3, b"\0" + key))).decode()


def bare_rsa(path):
    out = harness.run(["openssl", "rsa", "-in", path, "-RSAPublicKey_out", "-outform", "DER"])
    return base64.b64encode(out).decode()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    assert verifiers
    harness.main()
