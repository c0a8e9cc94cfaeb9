"""hsmdkim-genzone side by side with opendkim-genzone; its output loaded into BIND, its updates applied with TSIG."""
import os
import re
import subprocess
import unittest

from common import ToolCase, distribution, tool, zone_strings
from nameserver import Bind, find_program
from test_testkey import RSA, make_key


class GenzoneCase(ToolCase):
    @classmethod
    def setUpClass(cls):
        case = ToolCase()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        cls.keys = {}
        for name, bits in (("a", 2048), ("b", 4096), ("c", 1024)):
            path = os.path.join(case.dir, name + ".pem")
            cls.keys[name] = (path, make_key(path, *RSA, "rsa_keygen_bits:%d" % bits))

    def setUp(self):
        super().setUp()
        self.table = self.write("KeyTable", "".join("%s %s:%s:%s\n" % row for row in (
            ("one", "example.com", "sel1", self.keys["a"][0]), ("two", "sub.example.com", "a.b", self.keys["b"][0]),
            ("three", "example.org", "s3", self.keys["c"][0]))))

    def ours(self, *args, table=None):
        return tool("hsmdkim-genzone", "-x", "/dev/null", *args, "file:" + (table or self.table))

    def theirs(self, *args):
        return distribution("opendkim-genzone", "-x", "/dev/null", *args, "file:" + self.table)


class AgainstOpendkim(GenzoneCase):
    def same(self, *args):
        theirs, ours = self.theirs(*args), self.ours(*args)
        self.assertEqual(theirs.returncode, ours.returncode, ours.stderr)
        stamp = re.compile(r"by (opendkim|hsmdkim)-genzone at .*|\d{10}   ; Serial")
        self.assertEqual(stamp.sub("", theirs.stdout), stamp.sub("", ours.stdout), args)

    def test_zone_files_are_the_same(self):
        for args in ((), ("-D",), ("-F",), ("-M",), ("-t", "300", "-D"), ("-d", "example.com"), ("-d", "EXAMPLE.org", "-F"),
                     ("-s", "-d", "example.com", "-F"), ("-N", "ns1.example.com,ns2.example.com", "-D"),
                     ("-S",), ("-S", "-N", "ns1.example.com", "-C", "root@example.com"),
                     ("-S", "-E", "1", "-r", "2", "-R", "3", "-T", "4"), ("-d", "none.example",)):
            with self.subTest(args):
                self.same(*args)

    def test_updates_are_the_same_in_substance(self):
        args = ("-u", "-F", "-N", "ns1.example.com", "-t", "60")
        theirs = [line for line in self.theirs(*args).stdout.splitlines() if line.startswith("update")]
        ours = [line for line in self.ours(*args).stdout.splitlines() if line.startswith("update")]
        self.assertEqual(theirs, ours)

    def test_same_exit_status(self):
        for args in (["-Z"], ["-s"]):
            self.assertEqual(self.theirs(*args).returncode, self.ours(*args).returncode)
        self.assertEqual(distribution("opendkim-genzone", "-x", "/dev/null").returncode,
                         tool("hsmdkim-genzone", "-x", "/dev/null").returncode)
        self.assertEqual(distribution("opendkim-genzone", "-x", "/nosuch").returncode,
                         tool("hsmdkim-genzone", "-x", "/nosuch").returncode)


class Output(GenzoneCase):
    def test_a_domain_without_keys_is_said(self):
        self.assertIn("no key of nosuch.example", self.ours("-d", "nosuch.example").stderr)
        self.assertEqual("", self.ours("-d", "example.org").stderr)

    def test_subdomains_keep_their_labels(self):
        self.assertIn("\na.b._domainkey.sub\tIN", self.ours("-D", "-s", "-d", "example.com").stdout)

    def test_a_missing_table_is_the_configurations_fault(self):
        run = self.ours(table=self.path("nosuch"))
        self.assertEqual(run.returncode, 78, run.stderr)
        self.assertIn("nosuch: ", run.stderr)

    def test_one_unreadable_key_and_nothing_is_written(self):
        with open(self.table, "a", encoding="ascii") as out:
            out.write("bad example.net:s:/nosuch\n")
        run = self.ours("-o", self.path("out"))
        self.assertEqual(run.returncode, 71)
        self.assertIn("key for 'bad' load failed: /nosuch", run.stderr)
        self.assertFalse(os.path.exists(self.path("out")))

    def test_output_file_and_verbose(self):
        run = self.ours("-o", self.path("out"), "-v")
        self.assertEqual((run.returncode, run.stdout), (0, ""))
        self.assertIn("3 records written", run.stderr)
        self.assertIn("sel1\tIN", self.read("out"))

    def test_table_from_the_configuration_with_ed25519(self):
        path = self.path("ed.pem")
        p = make_key(path, "-algorithm", "ed25519")
        self.write("kt", "e example.com:ed:%s\n" % path)
        conf = self.write("conf", "KeyTable refile:%s\nSigningTable csl:x=e\n" % self.path("kt"))
        run = tool("hsmdkim-genzone", "-x", conf, "-D")
        self.assertEqual("".join(zone_strings(run.stdout)), "v=DKIM1;k=ed25519;p=" + p)


class WithBind(GenzoneCase):
    def test_zone_file_loads_and_testkey_is_content(self):
        zone = self.ours("-D", "-S", "-d", "example.com", "-s", "-t", "60", "-N", "ns1.example.com.", "-C", "me").stdout
        server = Bind(self.path("named"), {"example.com": "$TTL 60\n" + zone + "ns1 A 127.0.0.1\n"})
        self.addCleanup(server.stop)
        conf = self.write("conf", "KeyTable %s\nSigningTable csl:x=one\n" % self.table)
        for domain in ("example.com", "sub.example.com"):
            run = tool("hsmdkim-testkey", "-x", conf, "-d", domain, "--nameserver", server.at())
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_updates_are_applied_with_tsig(self):
        key = subprocess.run([find_program("tsig-keygen"), "up"], check=True, capture_output=True, text=True).stdout
        empty = {z: "@ NS ns1\nns1 A 127.0.0.1\n" for z in ("example.com", "sub.example.com", "example.org")}
        server = Bind(self.path("named"), empty, extra=key, zone_options={z: "allow-update { key up; };" for z in empty})
        self.addCleanup(server.stop)
        keyfile = self.write("tsig", key)
        script = self.ours("-u", "-t", "60").stdout
        script = "server 127.0.0.1 %d\n" % server.port + script
        run = subprocess.run([find_program("nsupdate"), "-k", keyfile], input=script, text=True, capture_output=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        conf = self.write("conf", "KeyTable %s\nSigningTable csl:x=one\n" % self.table)
        run = tool("hsmdkim-testkey", "-x", conf, "--nameserver", server.at())
        self.assertEqual(run.returncode, 0, run.stdout)
        unsigned = subprocess.run([find_program("nsupdate")], input=script, text=True, capture_output=True)
        self.assertNotEqual(unsigned.returncode, 0)


class GenkeyUpdates(ToolCase):
    def test_genkeys_nsupdate_form_is_applied_once(self):
        key = subprocess.run([find_program("tsig-keygen"), "up"], check=True, capture_output=True, text=True).stdout
        server = Bind(self.path("named"), {"example.com": "@ NS ns1\nns1 A 127.0.0.1\n"}, extra=key,
                      zone_options={"example.com": "allow-update { key up; };"})
        self.addCleanup(server.stop)
        keyfile = self.write("tsig", key)
        run = tool("hsmdkim-genkey", "-D", self.dir, "-s", "up", "-d", "example.com", "-n", 'it is "new"; 100%', "--format", "nsupdate")
        self.assertEqual(run.returncode, 0, run.stderr)
        script = "server 127.0.0.1 %d\n" % server.port + self.read("up.txt")
        for status in (0, 2):  # the second meets its prerequisite
            run = subprocess.run([find_program("nsupdate"), "-k", keyfile], input=script, text=True, capture_output=True)
            self.assertEqual(run.returncode, status, run.stderr)
        run = tool("hsmdkim-testkey", "-x", "/dev/null", "-d", "example.com", "-s", "up", "-k", self.path("up.private"),
                   "--nameserver", server.at(), "--strict")
        self.assertEqual(run.returncode, 0, run.stdout)


if __name__ == "__main__":
    unittest.main()
