"""hsmdkim-testmsg: what it signs dkimpy accepts, what dkimpy signs it accepts, and it names what a bad signature comes from."""
import base64
import hashlib
import os
import quopri
import shutil
import subprocess
import unittest

import dkim

from common import BIN, SOFTHSM, TokenCase, closed_output, tool
from test_testkey import RSA, make_key

MESSAGE = (b"Received: from x\r\nFrom: Alice <alice@example.com>\r\nTo: bob@example.net\r\nSubject: A  long\r\n\tsubject\r\n"
           b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello  Bob, \r\n\r\n\xc3\xa9t\xc3\xa9 is summer.\r\n"
           b"From here on.\r\n.dot\r\n\r\n\r\n")


class TestmsgCase(TokenCase):
    def setUp(self):
        super().setUp()
        self.key = self.path("key.pem")
        self.p = make_key(self.key, *RSA, "rsa_keygen_bits:2048")
        self.ed = self.path("ed.pem")
        self.ed_p = make_key(self.ed, "-algorithm", "ed25519")
        self.records = {"sel._domainkey.example.com": "v=DKIM1; k=rsa; p=" + self.p,
                        "ed._domainkey.example.com": "v=DKIM1; k=ed25519; p=" + self.ed_p}
        self.conf = self.write_conf()

    def write_conf(self, text=""):
        self.write("keys", "".join("%s %s\n" % row for row in self.records.items()))
        return self.write("conf", "TestPublicKeys %s\n%s" % (self.path("keys"), text))

    def run_testmsg(self, message, *args):
        """@return exit status, standard output in bytes, standard error"""
        run = subprocess.run([os.path.join(BIN, "hsmdkim-testmsg"), "-x", self.conf, *args], input=message, capture_output=True,
                             env={**os.environ, **self.env}, timeout=300)
        return run.returncode, run.stdout, run.stderr.decode()

    def dkimpy_verifies(self, raw):
        return dkim.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: self.records[name.decode().rstrip(".")].encode())

    def dkimpy_signs(self, message=MESSAGE, canon=(b"relaxed", b"relaxed")):
        with open(self.key, "rb") as pem:
            return dkim.sign(message, b"sel", b"example.com", pem.read(), canonicalize=canon,
                             include_headers=[b"from", b"to", b"subject", b"date", b"cc"]) + message

    def explain(self, message):
        status, out, err = self.run_testmsg(message, "--explain")
        return status, out.decode("utf-8", "replace") + err


class Signing(TestmsgCase):
    def test_with_key_files(self):
        for selector, key in (("sel", self.key), ("ed", self.ed)):
            for message in (MESSAGE, MESSAGE.replace(b"\r\n", b"\n")):
                status, out, err = self.run_testmsg(message, "-d", "example.com", "-s", selector, "-k", key)
                self.assertEqual(status, 0, err)
                self.assertTrue(out.startswith(b"DKIM-Signature:"))
                self.assertTrue(out.endswith(message))
                self.assertEqual(self.run_testmsg(out)[0], 0, self.run_testmsg(out))
                signed = out[:-len(message)].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                self.assertTrue(self.dkimpy_verifies(signed))

    def test_crlf_option(self):
        out = self.run_testmsg(MESSAGE, "-C", "-d", "example.com", "-s", "sel", "-k", self.key)[1]
        self.assertNotIn(b"\n", out.replace(b"\r\n", b""))
        self.assertTrue(self.dkimpy_verifies(out))

    def test_with_the_configurations_keys_on_a_token(self):
        run = self.run_tool("hsmdkim-genkey", "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, "-d", "example.com", "-s",
                            "tok", "--format", "plain")
        self.assertEqual(run.returncode, 0, run.stderr)
        lines = run.stdout.splitlines()
        self.write("KeyTable", lines[1] + "\nfile example.com:ed:%s\n" % self.ed)
        self.write("SigningTable", lines[3] + "\n*@example.com file\n")
        self.records["tok._domainkey.example.com"] = self.read("tok.txt").strip()
        self.conf = self.write_conf("KeyTable %s\nSigningTable refile:%s\nMultipleSignatures yes\nCanonicalization relaxed/simple\n"
                                    "PKCS11Module %s\nPKCS11PinSource file:%s\n" % (self.path("KeyTable"), self.path("SigningTable"), SOFTHSM, self.pin))
        status, out, err = self.run_testmsg(MESSAGE, "--sign", "-C")
        self.assertEqual(status, 0, err)
        self.assertEqual(out.count(b"DKIM-Signature:"), 2)
        self.assertTrue(self.dkimpy_verifies(out))
        status, out, err = self.run_testmsg(out)
        self.assertEqual((status, out.count(b": pass")), (0, 2), out)

    def test_with_selector_and_keyfile(self):
        self.conf = self.write_conf("Domain example.com\nSelector sel\nKeyFile %s\n" % self.key)
        self.assertTrue(self.dkimpy_verifies(self.run_testmsg(MESSAGE, "--sign", "-C")[1]))

    def test_what_it_refuses(self):
        self.assertEqual(self.run_testmsg(MESSAGE, "-d", "example.com")[0], 78)
        self.assertEqual(self.run_testmsg(MESSAGE, "--sign")[0], 78)
        self.assertEqual(self.run_testmsg(MESSAGE, "--nosuch")[0], 78)
        self.assertNotEqual(self.run_testmsg(MESSAGE, "-d", "example.com", "-s", "sel", "-k", "/nosuch")[0], 0)
        self.assertNotEqual(self.run_testmsg(b"To: x\r\n\r\n", "-d", "example.com", "-s", "sel", "-k", self.key)[0], 0)
        self.assertEqual(self.run_testmsg(b"no header\r\n\r\n")[0], 65)

    def test_statuses_of_what_is_missing(self):
        status, _, err = self.run_testmsg(MESSAGE, *self.token_options, "-d", "example.com", "-s", "sel", "-k", "pkcs11:token=dkim;object=no")
        self.assertEqual(status, 69, err)
        self.conf = self.write_conf("Domain example.com\nSelector sel\nKeyFile %s\n" % self.key)
        self.assertEqual(self.run_testmsg(b"", "--sign")[0], 65)
        self.assertEqual(self.run_testmsg(b"To: x\r\n\r\n", "--sign")[0], 65)

    def test_output_that_nobody_takes(self):
        for message, args in ((MESSAGE, ("-d", "example.com", "-s", "sel", "-k", self.key)), (self.dkimpy_signs(), ())):
            status, err = closed_output("hsmdkim-testmsg", "-x", self.conf, *args, stdin=message)
            self.assertEqual(status, 71, err)
            self.assertIn("standard output cannot be written: Broken pipe", err)


class AgainstOpendkim(TestmsgCase):
    def opendkim(self, message, *args):
        program = shutil.which("opendkim-testmsg", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            self.assertNotEqual(os.environ.get("REQUIRE_ALL"), "1", "opendkim-testmsg is not installed")
            self.skipTest("opendkim-testmsg is not installed")
        run = subprocess.run([program, *args], input=message, capture_output=True, timeout=300)
        return run.returncode, run.stdout

    def test_same_form_of_output(self):
        """The field, then the message as it was; -C is for the field alone. (OpenDKIM's signs with rsa-sha1, and damages b= without -C.)"""
        for message in (MESSAGE, MESSAGE.replace(b"\r\n", b"\n")):
            for option in ((), ("-C",)):
                args = (*option, "-d", "example.com", "-s", "sel", "-k", self.key)
                for run in (self.opendkim, self.run_testmsg):
                    status, out = run(message, *args)[:2]
                    self.assertEqual(status, 0)
                    field = out[:out.index(b"Received: from")]
                    self.assertTrue(field.startswith(b"DKIM-Signature: v=1; a=rsa-sha"), field)
                    self.assertIn(b"; d=example.com; s=sel;", field)
                    self.assertEqual(out[len(field):].replace(b"\r\n", b"\n"), message.replace(b"\r\n", b"\n"))
                    self.assertEqual(b"\r\n" in field, bool(option), (run, option))

    def test_same_exit_statuses(self):
        message = MESSAGE.replace(b"\r\n", b"\n")
        for args in (("-d", "x"), ("-Z",), ("-h",), ("-d", "example.com", "-s", "sel", "-k", "/nosuch"),
                     ("-K", "-C", "-t", "/tmp", "-d", "example.com", "-s", "sel", "-k", self.key)):
            self.assertEqual(self.opendkim(message, *args)[0], self.run_testmsg(message, *args)[0], args)


class Verifying(TestmsgCase):
    def test_dkimpys_signatures(self):
        for header in (b"simple", b"relaxed"):
            for body in (b"simple", b"relaxed"):
                signed = self.dkimpy_signs(canon=(header, body))
                status, out, _ = self.run_testmsg(signed)
                self.assertEqual(status, 0, out)
                self.assertIn(b"s=sel d=example.com a=rsa-sha256: pass (2048-bit key)", out)

    def test_exit_statuses(self):
        signed = self.dkimpy_signs()
        self.assertEqual(self.run_testmsg(signed.replace(b"Bob", b"Bub"))[0], 65)
        self.assertEqual(self.run_testmsg(MESSAGE)[0], 66)
        self.assertIn(b"not signed", self.run_testmsg(MESSAGE)[1])
        self.records.clear()
        self.write_conf()
        self.assertEqual(self.run_testmsg(signed)[0], 65)


    def test_a_record_beyond_the_limits_is_told_as_the_daemon_tells_it(self):
        signed = self.dkimpy_signs()
        self.records["sel._domainkey.example.com"] += "; n=" + "x" * 17000
        self.write_conf()
        status, out, _ = self.run_testmsg(signed)
        self.assertEqual(status, 65)
        self.assertIn(b"permerror (key records too many or too long)", out)


class Explaining(TestmsgCase):
    def guess(self, message, words, canon=(b"relaxed", b"relaxed"), original=MESSAGE):
        signed = self.dkimpy_signs(original, canon)
        header, text = signed[:-len(original)], message(original)
        status, out = self.explain(header + text)
        self.assertEqual(status, 65, out)
        line, = [x for x in out.splitlines() if "likely change" in x]
        for word in words:
            self.assertIn(word, line)
        return out

    def test_a_good_signature_shows_forms_and_hashes(self):
        status, out = self.explain(self.dkimpy_signs())
        self.assertEqual(status, 0)
        self.assertIn("    cc (none left: none may be added)", out)
        self.assertIn("    | subject:A long subject$", out)
        self.assertIn("    | Hello Bob,$", out)
        self.assertIn("canonical header (relaxed)", out)
        computed, signed = [x.split()[-1] for x in out.splitlines() if "body hash" in x]
        self.assertEqual(computed, signed)
        self.assertNotIn("likely change", out)

    def test_body_footer_and_banner(self):
        self.guess(lambda m: m.rstrip(b"\r\n") + b"\r\n-- \r\nA list\r\n", ["footer", "last 2 lines"])
        self.guess(lambda m: m.replace(b"\r\n\r\nHello", b"\r\n\r\n[EXTERNAL]\r\nHello"), ["banner", "first 1 line"])

    def test_eight_bit_conversion(self):
        def convert(message):
            header, body = message.split(b"\r\n\r\n", 1)
            return header + b"\r\n\r\n" + quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        self.guess(convert, ["quoted-printable"])

    def test_line_ends(self):
        def dots(message):
            return message.replace(b"\n.dot", b"\n..dot")
        self.guess(lambda m: m.replace(b"\nFrom here", b"\n>From here"), [">From"])
        self.guess(dots, ["dot-stuffing"])
        self.guess(lambda m: m.replace(b"summer.\r\n", b"summer. \t\r\n"), ["blanks at line ends"], (b"relaxed", b"simple"),
                   MESSAGE.replace(b"Bob, ", b"Bob,"))

    def sign_as_it_is(self, body):
        """A simple/simple signature over a body with any line ends, by openssl."""
        header = b"From: Alice <alice@example.com>\r\nSubject: ends\r\n"
        end = b"" if body.endswith(b"\r\n") else b"\r\n"  # RFC 6376 section 3.4.3
        digest = base64.b64encode(hashlib.sha256(body + end).digest())
        field = b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=sel; h=From:Subject; bh=" + digest + b"; b="
        run = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=header + field, capture_output=True, check=True)
        return field + base64.b64encode(run.stdout) + b"\r\n" + header + b"\r\n"

    def test_changed_line_ends_are_named(self):
        body = b"one\r\ntwo\r\n"
        self.assertEqual(self.run_testmsg(self.sign_as_it_is(body) + body)[0], 0)
        for signed, sent, words in ((b"one\ntwo\n", body, "bare LF"), (body, body.replace(b"\r\n", b"\r\r\n"), "CR CR LF")):
            status, out = self.explain(self.sign_as_it_is(signed) + sent)
            self.assertEqual(status, 65, out)
            line, = [x for x in out.splitlines() if "likely change" in x]
            self.assertIn(words, line)

    def test_header_edits(self):
        out = self.guess(lambda m: m.replace(b"Subject: A", b"Subject: [list] A"), ["Subject", "tag in []"], original=MESSAGE)
        self.assertIn("signature verification failed", out)
        self.guess(lambda m: m.replace(b"Message-ID", b"Cc: eve@example.org\r\nMessage-ID"), ["Cc", "added after signing"])
        self.guess(lambda m: m.replace(b"Subject: A long", b"Subject: A\r\n long"), ["Subject", "folded"], (b"simple", b"simple"),
                   MESSAGE.replace(b"A  long\r\n\tsubject", b"A long subject"))
        self.guess(lambda m: m.replace(b"bob@", b"bub@"), ["a signed header field was changed"])
        self.guess(lambda m: m.replace(b"Hello", b"Hallo"), ["none of the rewrites"])

    def test_help_has_examples(self):
        self.assertIn("Examples:", tool("hsmdkim-testmsg", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
