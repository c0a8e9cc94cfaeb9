"""hsmdkim-genkey on a SoftHSM token: attributes, names, refusals, import, lists; read back by other programs."""
import json
import os
import re
import select
import signal
import subprocess
import time
import unittest

from common import BIN, KILLSHIM, SOFTHSM, TokenCase, closed_output, zone_strings
from nameserver import Bind
from test_testkey import RSA, make_key

URI = re.compile(r"pkcs11:\S+")


class GenkeyToken(TokenCase):
    def genkey(self, *args, **more):
        return self.run_tool("hsmdkim-genkey", "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, *args, **more)

    def good(self, *args):
        run = self.genkey(*args)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def check_with_daemons_eyes(self, uri, selector, domain="example.com"):
        """The record fits the key: hsmdkim-genzone reads it from the token."""
        table = self.write("kt", "k %s:%s:%s\n" % (domain, selector, uri))
        run = self.run_tool("hsmdkim-genzone", "-x", "/dev/null", *self.token_options, "file:" + table)
        self.assertEqual(run.returncode, 0, run.stderr)
        p = "".join(zone_strings(run.stdout)).split("p=")[1]
        self.assertEqual(p, "".join(zone_strings(self.read(selector + ".txt"))).split("p=")[1])
        return p


class Interrupted(GenkeyToken):
    def shim(self, **settings):
        return {**self.env, "LD_PRELOAD": KILLSHIM, **settings}

    def token_files(self):
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.path("tokens")) for name in names]

    def test_a_token_file_is_not_left_empty(self):
        """SIGTERM where SoftHSM has emptied a file and not yet written it: at each login, and when it makes a key."""
        uri = URI.search(self.good("-s", "s", "-d", "example.com").stdout)[0]
        for pattern, program, args in (
                ("token.object", "hsmdkim-testkey", ("-x", "/dev/null", *self.token_options, "-d", "example.com", "-s", "s", "-k", uri)),
                ("*-*.object", "hsmdkim-genkey", ("--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, "-s", "t",
                                                  "-d", "example.com"))):
            with self.subTest(program):
                env = {**os.environ, **self.shim(KILLSHIM_TRUNCATE=pattern)}
                run = subprocess.run([os.path.join(BIN, program), *args], env=env, capture_output=True, timeout=300)
                self.assertEqual(run.returncode, -signal.SIGTERM, run.stderr)
                self.assertEqual([n for n in self.token_files() if n.endswith(".object") and os.path.getsize(n) == 0], [])
                self.assertEqual(len(self.objects("--type", "privkey")), 1 if program.endswith("testkey") else 2)

    def test_a_module_that_hangs_is_ended_by_a_second_signal(self):
        """The first one waits, whatever its kind; what was ignored stays so, as under nohup."""
        env = {**os.environ, **self.shim(KILLSHIM_TRUNCATE="token.object", KILLSHIM_HANG="1")}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.add_token("t%d" % number)  # is broken behind that
            ignored = signal.SIGHUP if number != signal.SIGHUP else signal.SIGINT
            old = signal.signal(ignored, signal.SIG_IGN)
            try:
                process = subprocess.Popen(
                    [os.path.join(BIN, "hsmdkim-genkey"), "--token", "pkcs11:token=t%d" % number, *self.token_options, "-D", self.dir, "-s",
                     "s", "-d", "example.com"], env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0)
            finally:
                signal.signal(ignored, old)
            with self.subTest(number), process:
                try:
                    self.assertEqual(self.line(process.stderr), b"hangs\n")
                    for sent in (ignored, ignored, number):
                        process.send_signal(sent)
                    self.assertEqual(self.line(process.stderr), b"hangs\n")
                    process.send_signal(number)
                    self.assertEqual(process.wait(120), -number)
                    self.assertEqual(process.stderr.read(), b"")
                finally:
                    process.kill()

    def line(self, pipe):
        self.assertTrue(select.select([pipe], [], [], 120)[0], "nothing came")
        return pipe.readline()

    def test_a_list_goes_on_behind_a_record_that_could_not_be_written(self):
        domains = self.write("domains", "a.example\nb.example\n")
        run = self.genkey("-s", "s", "--domains", domains, env=self.shim(KILLSHIM_LINK="fail"))
        self.assertEqual((run.returncode, run.stdout), (71, ""))
        self.assertRegex(run.stderr, r"domains:1: the key is there as pkcs11:\S*object=s\._domainkey\.a\S+, only its record is not")
        self.assertIn("run it again to go on", run.stderr)
        lines = self.good("-s", "s", "--domains", domains).stdout
        self.assertEqual(len(self.objects("--type", "privkey")), 2)
        self.assertIn(URI.search(run.stderr)[0].rstrip(","), lines)
        self.assertIn("DKIM key s for a.example", self.read("a.example", "s.txt"))

    def test_nothing_is_made_before_its_record_has_a_place(self):
        run = self.genkey("-s", "s", "-d", "example.com", "-D", self.path("nodir"))
        self.assertEqual((run.returncode, run.stdout), (71, ""))
        self.assertIn("nodir: No such file or directory; make the folder or name another with -D", run.stderr)
        self.assertEqual(self.objects("--type", "privkey"), [])
        self.good("-s", "s", "-d", "example.com")

    def test_a_record_that_could_not_be_written_is_shown(self):
        run = self.run_tool("hsmdkim-genkey", "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, "-s", "s", "-d",
                            "example.com", env=self.shim(KILLSHIM_LINK="fail"))
        self.assertEqual(run.returncode, 71)
        self.assertRegex(run.stderr, r"the key is there as pkcs11:\S*object=s\S+, only its record is not: .*No space left")
        self.assertIn("s._domainkey", run.stdout)
        table = self.write("kt", "k example.com:s:%s\n" % URI.search(run.stdout)[0])
        zone = self.run_tool("hsmdkim-genzone", "-x", "/dev/null", *self.token_options, "file:" + table).stdout
        p = "".join(zone_strings(zone)).split("p=")[1]
        self.assertIn("p=" + p, "".join(zone_strings(run.stdout)))

    def test_output_that_nobody_takes(self):
        status, err = closed_output("hsmdkim-genkey", "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, "-s", "s",
                                    "-d", "example.com", env=self.env)
        self.assertEqual(status, 71)
        self.assertIn("standard output cannot be written: Broken pipe", err)


class Making(GenkeyToken):
    def test_rsa_and_ed25519_are_protected_and_named_by_the_rule(self):
        for selector, options, kind in (("r2", (), "RSA"), ("r3", ("-b", "3072"), "RSA"), ("r4", ("-b", "4096"), "RSA"),
                                        ("e", ("--type", "ed25519"), "EC_EDWARDS")):
            with self.subTest(selector):
                run = self.good("-s", selector, "-d", "Example.com", *options)
                uri = URI.search(run.stdout)[0]
                self.assertIn("token=dkim", uri)
                self.assertIn("object=%s._domainkey.example.com" % selector, uri)
                self.assertRegex(uri, r"id=(%[0-9A-F]{2}){16}")
                private, = [o for o in self.objects("--type", "privkey") if selector + "._domainkey" in o]
                self.assertIn(kind, private)
                self.assertRegex(private, r"Usage: +sign\n")
                self.assertIn("sensitive, always sensitive, never extractable, local", private)
                public, = [o for o in self.objects("--type", "pubkey") if selector + "._domainkey" in o]
                self.assertRegex(public, r"Usage: +verify\n")
                self.check_with_daemons_eyes(uri, selector, "Example.com")
        self.assertEqual(sorted(n for n in os.listdir(self.dir) if n.endswith((".txt", ".private"))), ["e.txt", "r2.txt", "r3.txt", "r4.txt"])

    def test_openssl_verifies_what_the_token_signs(self):
        self.good("-s", "s", "-d", "example.com")
        p = "".join(zone_strings(self.read("s.txt"))).split("p=")[1]
        data = self.write("data", "to sign")
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--token-label", "dkim", "--login", "--pin", self.PIN, "--sign", "-m",
                        "SHA256-RSA-PKCS", "--label", "s._domainkey.example.com", "-i", data, "-o", self.path("sig")], check=True,
                       capture_output=True, env={**os.environ, **self.env})
        self.write("pub.pem", "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" %
                   "\n".join(p[i:i + 64] for i in range(0, len(p), 64)))
        run = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.path("pub.pem"), "-signature", self.path("sig"), data],
                             capture_output=True, text=True)
        self.assertIn("Verified OK", run.stdout)

    def test_testkey_compares_the_record_with_the_token(self):
        lines = [self.good("-s", s, "-d", "example.com", "--type", kind).stdout for s, kind in (("r", "rsa"), ("e", "ed25519"))]
        uris = [URI.search(text)[0] for text in lines]
        zone = "@ NS ns1\nns1 A 127.0.0.1\n" + self.read("r.txt") + self.read("e.txt")
        server = Bind(self.path("named"), {"example.com": zone})
        self.addCleanup(server.stop)
        self.write("KeyTable", "r example.com:r:%s\ne example.com:e:%s\nx example.com:r:%s\ny example.com:r:%s\n" % (
            *uris, uris[1], uris[0].replace("object=r.", "object=z.")))
        conf = self.write("conf", "KeyTable %s\nSigningTable csl:x=r\nPKCS11Module %s\nPKCS11PinSource file:%s\n" % (
            self.path("KeyTable"), SOFTHSM, self.pin))
        run = self.run_tool("hsmdkim-testkey", "-x", conf, "--nameserver", server.at(), "--json")
        rows = json.loads(run.stdout)
        self.assertEqual([(r["code"], r["owner"]) for r in rows], [("ok", None), ("shared", "x"), ("other_key", "r"), ("no_key", None)])
        self.assertEqual(run.returncode, 71)
        self.assertIn("object=", rows[3]["found"])
        run = self.run_tool("hsmdkim-testkey", "-x", "/dev/null", "--nameserver", server.at(), "-d", "example.com", "-s", "r", "-k", uris[0],
                            *self.token_options)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_object_and_id_can_be_chosen(self):
        run = self.run_tool("hsmdkim-genkey", "--token", "pkcs11:token=dkim;object=my%20key;id=%07", *self.token_options, "-D", self.dir,
                            "-s", "s", "-d", "example.com")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("object=my%20key;id=%07", run.stdout)
        self.check_with_daemons_eyes(URI.search(run.stdout)[0], "s")

    def test_module_and_pin_from_the_configuration(self):
        conf = self.write("conf", "PKCS11Module %s\nPKCS11PinSource file:%s\n" % (SOFTHSM, self.pin))
        run = self.run_tool("hsmdkim-genkey", "-x", conf, "--token", "pkcs11:token=dkim", "-D", self.dir, "-s", "s", "-d", "example.com")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_token_table_chooses_the_token(self):
        self.add_token("second")
        self.write("tokens.table", "".join("%s pkcs11:token=%s?module-path=%s&pin-source=file:%s\n" % (t, t, SOFTHSM, self.pin)
                                           for t in ("dkim", "second")))
        conf = self.write("conf", "TokenTable %s\n" % self.path("tokens.table"))
        run = self.run_tool("hsmdkim-genkey", "-x", conf, "--token", "pkcs11:token=second", "-D", self.dir, "-s", "s", "-d", "example.com")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("token=second;", run.stdout)
        self.assertEqual(self.objects(), [])

    def test_one_module_with_two_tokens(self):
        self.add_token("second")
        self.assertIn("token=dkim;", self.good("-s", "s", "-d", "example.com").stdout)


class Refusals(GenkeyToken):
    def refused(self, status, text, *args):
        before = sorted(self.objects())
        run = self.genkey(*args)
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn(text, run.stderr)
        self.assertNotIn(self.PIN, run.stderr + run.stdout)
        self.assertEqual(sorted(self.objects()), before)

    def test_a_key_is_never_replaced(self):
        self.good("-s", "s", "-d", "example.com")
        os.unlink(self.path("s.txt"))
        self.refused(73, "already", "-s", "s", "-d", "example.com")
        self.write("t.txt", "precious")
        self.refused(73, "t.txt", "-s", "t", "-d", "example.com")
        self.assertFalse(os.path.exists(self.path("s.txt")))

    def test_an_object_with_the_same_id_is_in_the_way(self):
        for uri in ("pkcs11:token=dkim;object=a;id=%01", "pkcs11:token=dkim;object=b;id=%01"):
            run = self.run_tool("hsmdkim-genkey", "--token", uri, *self.token_options, "-D", self.dir, "-s", uri[-8], "-d", "example.com")
        self.assertEqual(run.returncode, 73)
        self.assertIn("id", run.stderr)

    def test_wrong_pin_is_sent_once_and_not_shown(self):
        self.write("pin", "999999")
        run = self.genkey("-s", "s", "-d", "example.com")
        self.assertEqual(run.returncode, 77, run.stderr)
        self.assertIn("PIN", run.stderr)
        self.assertNotIn("999999", run.stderr)

    def test_setup_errors(self):
        self.refused(64, "-d", "-s", "s")
        for token, status, text in (("pkcs11:token=nosuch", 69, "nosuch"), ("pkcs11:token=dkim;pin-value=1", 78, "pin-value"),
                                    ("pkcs11:token=dkim?module-path=/x", 78, "module-path"), ("dkim", 78, "pkcs11:")):
            run = self.run_tool("hsmdkim-genkey", "--token", token, *self.token_options, "-D", self.dir, "-s", "s", "-d", "example.com")
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn(text, run.stderr)
        run = self.run_tool("hsmdkim-genkey", "-x", "/dev/null", "--token", "pkcs11:token=dkim", "-D", self.dir, "-s", "s", "-d", "e.com")
        self.assertEqual(run.returncode, 78)
        self.assertIn("--module", run.stderr)
        run = subprocess.run([os.path.join(BIN, "hsmdkim-genkey"), "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.dir, "-s", "s",
                              "-d", "example.com"], env={**os.environ, "SOFTHSM2_CONF": self.path("nosuch.conf")}, capture_output=True, text=True, timeout=300)
        self.assertNotEqual(run.returncode, 0)
        self.assertRegex(run.stderr, r"C_Initialize: CKR_GENERAL_ERROR.*the module runs as user \d+: .*SOFTHSM2_CONF")
        os.chmod(self.pin, 0o644)
        self.refused(77, "chmod", "-s", "s", "-d", "example.com")


class Importing(GenkeyToken):
    def test_keys_move_and_the_old_copy_is_named(self):
        for name, args in (("rsa", (*RSA, "rsa_keygen_bits:2048")), ("ed", ("-algorithm", "ed25519"))):
            with self.subTest(name):
                pem = self.path(name + ".pem")
                p = make_key(pem, *args)
                run = self.good("-s", name, "-d", "example.com", "--import", pem)
                self.assertIn("delete the file", run.stderr)
                self.assertIn(pem, run.stderr)
                self.assertEqual(self.check_with_daemons_eyes(URI.search(run.stdout)[0], name), p)
                private, = [o for o in self.objects("--type", "privkey") if name + "._domainkey" in o]
                self.assertRegex(private, r"Usage: +sign\n")
                self.assertRegex(private, r"Access: +sensitive\s*$")
                self.assertTrue(os.path.exists(pem))

    def test_no_key_or_a_passphrase(self):
        for text in ("junk", ""):
            run = self.genkey("-s", "s", "-d", "example.com", "--import", self.write("bad.pem", text))
            self.assertEqual(run.returncode, 65, run.stderr)
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-aes256", "-pass", "pass:x", "-out", self.path("enc.pem")], check=True,
                       capture_output=True)
        self.assertEqual(self.genkey("-s", "s", "-d", "example.com", "--import", self.path("enc.pem")).returncode, 65)
        self.assertNotEqual(self.genkey("-s", "s", "-d", "example.com", "--import", "/nosuch").returncode, 0)
        self.assertEqual(self.objects(), [])


class Lists(GenkeyToken):
    def test_stopped_list_goes_on(self):
        names = self.write("domains", "".join("d%d.example\n" % i for i in range(8)))
        args = ("--domains", names, "-s", "s", "-b", "3072")
        command = [os.path.join(BIN, "hsmdkim-genkey"), "--token", "pkcs11:token=dkim", *self.token_options, "-D", self.path("out"), *args]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **self.env}) as first:
            while not os.path.exists(self.path("out", "d2.example", "s.txt")):
                time.sleep(0.01)
                self.assertIsNone(first.poll())
            first.send_signal(signal.SIGKILL)
        run = self.run_tool("hsmdkim-genkey", *command[1:])
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(len(self.objects("--type", "privkey")), 8)
        self.assertRegex(run.stderr, r"8 of 8 keys are there, [3-8] of them from an earlier run")
        self.assertEqual(len(set(URI.findall(run.stdout))), 8)
        self.assertEqual(len({self.read("out", "d%d.example" % i, "s.txt").split("p=")[1] for i in range(8)}), 8)


if __name__ == "__main__":
    unittest.main()
