"""What the tools write: what a name leads to is replaced, and nothing that must not be."""
import os
import stat
import subprocess
import threading
import unittest

from common import BIN, ToolCase, tool
import harness
from test_testkey import RSA, make_key


class Written(ToolCase):
    def setUp(self):
        super().setUp()
        self.key = self.path("key.pem")
        make_key(self.key, *RSA, "rsa_keygen_bits:1024")
        self.rows = "one example.com:sel1:%s\n" % self.key
        self.table = self.write("KeyTable", self.rows)
        os.mkdir(self.path("elsewhere"))

    def refused(self, run, *words):
        self.assertEqual((run.returncode, run.stdout), (73, ""), run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
        self.assertEqual(self.read("KeyTable"), self.rows)
        self.assertEqual([name for name in os.listdir(self.dir) if "." in name and name != "key.pem"
                          and not name.endswith(".lmdb")], [])

    def link(self, target, name):
        os.symlink(target, self.path(name))
        return self.path(name)


class Genzone(Written):
    def genzone(self, output, conf="/dev/null"):
        return tool("hsmdkim-genzone", "-x", conf, "-o", output, "file:" + self.table)

    def test_a_link_stays_a_link(self):
        link = self.link("second", "first")
        self.link("elsewhere/zone", "second")
        for _ in ("new", "there"):
            self.assertEqual(self.genzone(link).returncode, 0)
            self.assertTrue(os.path.islink(link) and os.path.islink(self.path("second")))
            self.assertIn("sel1\tIN", self.read("elsewhere", "zone"))
            self.assertEqual(os.listdir(self.path("elsewhere")), ["zone"])

    def test_links_that_go_round_are_an_error(self):
        run = self.genzone(self.link("round", "round"))
        self.assertEqual(run.returncode, 71)
        self.assertIn("round: cannot be followed: Too many levels", run.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_link_of_another_user_is_not_followed(self):
        self.write("elsewhere/precious", "here\n")
        link = self.link("elsewhere/precious", "zone")
        os.lchown(link, 65534, 65534)
        self.refused(self.genzone(link), "is a link of another user")
        self.assertEqual(self.read("elsewhere", "precious"), "here\n")

    def test_a_fifo_is_written_into(self):
        os.mkfifo(self.path("fifo"))
        got = []
        reader = threading.Thread(target=lambda: got.append(self.read("fifo")), daemon=True)
        reader.start()
        self.assertEqual(self.genzone(self.path("fifo")).returncode, 0)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))
        reader.join(10)
        self.assertIn("sel1\tIN", got[0])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_device_is_written_into(self):
        device = self.path("null")
        try:
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            with open(device, "w"):
                pass
        except OSError as error:
            self.skipTest(error)
        self.assertEqual(self.genzone(device, conf=device).returncode, 0)
        self.assertTrue(stat.S_ISCHR(os.stat(device).st_mode))

    def test_standard_output_by_name(self):
        out = self.link("/proc/self/fd/1", "stdout")  # as /dev has it, which no test may touch
        self.assertIn("sel1\tIN", self.genzone(out).stdout)
        self.write("zone", "; before\n")
        with open(self.path("zone"), "a", encoding="ascii") as zone:
            subprocess.run([os.path.join(BIN, "hsmdkim-genzone"), "-x", "/dev/null", "-o", out, "file:" + self.table],
                           check=True, stdout=zone, timeout=300)
        self.assertRegex(self.read("zone"), r"(?s)\A; before\n.*sel1\tIN")

    def test_what_it_is_made_from_stays(self):
        self.refused(self.genzone(self.table), "KeyTable: the zone is made from this file; name another with -o")
        self.refused(self.genzone(self.link("KeyTable", "link")), "the zone is made from this file")
        before = self.read("key.pem")
        self.refused(self.genzone(self.key), "the zone is made from this file")
        self.assertEqual(self.read("key.pem"), before)
        conf = self.write("conf", "KeyTable %s\nSigningTable csl:x=one\n" % self.table)
        self.refused(self.genzone(conf, conf=conf), "the zone is made from this file")


class Mktable(Written):
    def mktable(self, output, table=None):
        return tool("hsmdkim-mktable", "-v", "-t", "keytable", table or self.table, output)

    def test_a_link_stays_a_link(self):
        link = self.link("elsewhere/table.lmdb", "table.lmdb")
        for _ in ("new", "there"):
            self.assertIn("1 row written", self.mktable(link).stderr)
            self.assertTrue(os.path.islink(link))
            self.assertGreater(os.path.getsize(self.path("elsewhere", "table.lmdb")), 4096)

    def test_only_its_own_kind_is_replaced(self):
        self.refused(self.mktable(self.table), "KeyTable: is the table itself and is not replaced")
        self.refused(self.mktable(self.link("KeyTable", "link")), "is the table itself")
        for text in ("precious\n", "precious\n" * 10000):
            note = self.write("note", text)
            self.refused(self.mktable(note), "note: is there and not an LMDB table; move it away or name another file")
            self.assertEqual(self.read("note"), text)
        os.mkfifo(self.path("fifo"))
        self.refused(self.mktable(self.path("fifo")), "fifo: is not a regular file and is not replaced")
        self.refused(self.mktable(self.path("elsewhere")), "elsewhere: is not a regular file")

    def test_what_cannot_be_read_is_not_replaced(self):
        secret = self.write("secret", "precious\n")
        more = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        os.chmod(secret, 0)
        os.chmod(self.table, 0o644)
        if more:
            os.chown(self.dir, 65534, 65534)
        program = harness.for_user(os.path.join(BIN, "hsmdkim-mktable"))
        run = subprocess.run([program, "-t", "keytable", self.table, secret], text=True, capture_output=True, timeout=300, **more)
        os.chmod(secret, 0o600)
        self.refused(run, "secret: is there and cannot be read; move it away or name another file")
        self.assertEqual(self.read("secret"), "precious\n")

    def test_a_type_that_there_is_not_is_quoted(self):
        run = tool("hsmdkim-mktable", "-t", "keytabel", self.table, self.path("out.lmdb"))
        self.assertEqual(run.returncode, 64)
        self.assertIn("-t keytabel: there is no such type: keytable, signingtable or list", run.stderr)

    def test_an_empty_file_and_an_lmdb_file_are(self):
        out = self.write("t.lmdb", "")
        for _ in range(2):
            self.assertEqual(self.mktable(out).returncode, 0)
        self.assertEqual(self.mktable(self.path("new.lmdb"), table="lmdb:" + out).returncode, 0)


if __name__ == "__main__":
    unittest.main()
