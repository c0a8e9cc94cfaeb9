#!/usr/bin/python3
"""Tables in the running daemon: lmdb: under the milter's sandbox, over a reload, and when somebody writes into the file."""
import os
import shutil
import signal
import subprocess

import harness


def mktable(kind, text, out):
    subprocess.run([os.path.join(harness.BIN, "hsmdkim-mktable"), "-t", kind, text, out], check=True, capture_output=True, timeout=60)


class Lmdb(harness.Case):
    def setUp(self):
        super().setUp()
        self.zone = {"sel._domainkey.example.com": harness.make_key_file(self.path("key.pem"))}
        self.write("KeyTable", f"Key %:sel:{self.path('key.pem')}\n")
        self.build("signingtable", "example.com Key\n")
        mktable("keytable", self.path("KeyTable"), self.path("KeyTable.lmdb"))
        self.write("hosts", "127.0.0.1\n10.0.0.0/8\n")
        mktable("list", self.path("hosts"), self.path("hosts.lmdb"))

    def build(self, kind, text):
        self.write("SigningTable", text)
        mktable(kind, self.path("SigningTable"), self.path("SigningTable.lmdb"))

    def start_daemon(self, **options):
        return self.daemon({"KeyTable": "lmdb:" + self.path("KeyTable.lmdb"), "SigningTable": "mdb:" + self.path("SigningTable.lmdb"),
                            "InternalHosts": "lmdb:" + self.path("hosts.lmdb")}, **options)

    def test_signs_and_reloads(self):
        daemon = self.start_daemon()
        other = harness.MESSAGE.replace(b"alice@example.com", b"alice@example.org")
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.assertEqual([], daemon.send(other).signatures)
        self.build("signingtable", "example.com Key\nexample.org Key\n")
        mark = daemon.log_mark()
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded", since=mark)
        self.assertEqual(1, len(daemon.send(other).signatures))
        daemon.stop()

    def test_somebody_copies_over_the_file(self):
        """cp(1) truncates: mail is deferred while the table is cut short, no process dies, and then it is signed again."""
        daemon = self.start_daemon(allowed=["damaged|SigningTable|configuration error"])
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        milter, signer = daemon.milter_pid(), daemon.signer_pid()
        shutil.copy(self.path("SigningTable.lmdb"), self.path("saved"))
        os.truncate(self.path("SigningTable.lmdb"), 0)
        self.assertTrue(daemon.send(harness.MESSAGE).temporary)
        shutil.copyfile(self.path("saved"), self.path("SigningTable.lmdb"))
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.assertEqual((milter, signer), (daemon.milter_pid(), daemon.signer_pid()))
        daemon.stop()

    def test_a_file_that_is_no_table(self):
        shutil.copy(self.path("KeyTable"), self.path("SigningTable.lmdb"))
        daemon = self.start_daemon(start=False, allowed=["."])
        run = subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-n", "-x", daemon.conf], capture_output=True, text=True, timeout=60)
        self.assertEqual(78, run.returncode)
        self.assertIn("SigningTable.lmdb: ", run.stderr)


if __name__ == "__main__":
    harness.main()
