#!/usr/bin/python3
"""hsmdkim -t: messages on files, signed with a key on a token or verified, without a socket. What OpenDKIM says is in tests/compat."""
import os
import re
import signal
import subprocess

import dkim

import harness
import milterclient
import verifiers

HSMDKIM = os.path.join(harness.BIN, "hsmdkim")


class TestMode(harness.Case):
    def run_test(self, daemon, *options, stdin=b""):
        return subprocess.run([HSMDKIM, "-x", daemon.conf, *options], capture_output=True, timeout=120, env=daemon.environment, input=stdin)

    def message(self, name="message.eml", raw=harness.MESSAGE):
        return self.write(name, raw.decode())

    def signed(self, out):
        """The message with the signature that was printed."""
        fields = re.findall(r"^DKIM-Signature: .*(?:\n[ \t].*)*", out.decode(), re.M)
        return [field.replace("\n", "\r\n").encode() + b"\r\n" + harness.MESSAGE for field in fields]

    def test_a_key_on_a_token_signs(self):
        daemon = self.token_daemon(keys=("rsa2048", "ed25519"), start=False)
        run = self.run_test(daemon, "-t", self.message())
        self.assertEqual((0, b""), (run.returncode, run.stderr))
        wires = self.signed(run.stdout)
        self.assertEqual(2, len(wires), run.stdout)
        for wire in wires:
            self.assertTrue(verifiers.Dkimpy(self.zone).verify(wire)[0].good, wire)

    def test_what_was_signed_is_verified(self):
        daemon = self.token_daemon(start=False)
        wire = self.signed(self.run_test(daemon, "-F", "1795514400", "-t", self.message()).stdout)[0]
        self.assertIn(b"t=1795514400;", wire)
        records = self.write("records", "".join(f"{name} {text}\n" for name, text in self.zone.items()), 0o644)
        signed = self.message("signed.eml", wire)
        for name, value in (("TestPublicKeys", records), ("TestDNSData", "file:" + records)):
            verifier = self.daemon({"Mode": None, name: value}, start=False)
            run = self.run_test(verifier, "-t", f"{signed},-", stdin=wire.replace(b"A test", b"Another"))
            self.assertEqual(0, run.returncode)
            lines = run.stdout.decode().splitlines()
            self.assertEqual(f"hsmdkim: {signed}: verification (s=rsa2048, d=example.com, 2048-bit key) succeeded", lines[0])
            self.assertRegex(lines[1], r"^hsmdkim: \(stdin\): verification \(s=rsa2048 d=example\.com, 2048-bit key, \w+\) failed: "
                                       r"signature verification failed$")

    def test_a_key_that_is_not_there_is_told_of(self):
        daemon = self.token_daemon(start=False)
        self.write("KeyTable", "rsa2048 example.com:rsa2048:pkcs11:token=dkim;object=nothing\n")
        run = self.run_test(daemon, "-t", self.message())
        self.assertEqual(70, run.returncode)
        self.assertIn(b": no signature added: ", run.stdout)

    def test_an_error_of_ours_is_no_success(self):
        """The header is too long to be looked at, and the settings let such a message pass."""
        daemon = self.daemon({"Mode": "v", "TestPublicKeys": self.write("records", "", 0o644), "MaximumHeaders": "500", "On-Security": "accept"},
                             start=False)
        path = self.message(raw=b"X-Long: " + b"x" * 900 + b"\r\n" + harness.MESSAGE)
        run = self.run_test(daemon, "-t", path)
        self.assertEqual((70, f"hsmdkim: {path}: could not be signed or verified\n".encode()), (run.returncode, run.stdout), run.stderr)

    def test_a_table_that_is_wrong_ends_it(self):
        daemon = self.token_daemon(start=False)
        self.write("KeyTable", "rsa2048 example.com\n")
        run = self.run_test(daemon, "-t", self.message())
        self.assertEqual((78, b""), (run.returncode, run.stdout))
        self.assertIn(b"KeyTable:1", run.stderr)

    def test_root_reads_the_files_and_the_user_parses_them(self):
        harness.need(self, os.geteuid() == 0, "root")
        daemon = self.daemon({"Mode": "v", "TestDNSData": "csl:a=b"}, start=False)
        path = self.message()
        os.chmod(path, 0o600)
        self.assertIn(b"message not signed", self.run_test(daemon, "-t", path).stdout)

    def test_mail_of_others_is_left_alone(self):
        daemon = self.token_daemon(start=False)
        foreign = self.message("foreign.eml", harness.MESSAGE.replace(b"alice@example.com", b"eve@example.org"))
        run = self.run_test(daemon, "-t", f"{foreign},{self.message()}")
        self.assertEqual(0, run.returncode)
        self.assertIn(f"hsmdkim: {foreign}: neither signed nor verified\n".encode(), run.stdout)
        self.assertEqual(1, len(self.signed(run.stdout)))


class TestData(harness.Case):
    def test_the_daemon_verifies_with_it_after_a_reload_too(self):
        key = self.path("key.pem")
        record = harness.make_key_file(key)
        name = verifiers.key_name("sel", "example.com")
        records = self.write("records", f"{name.upper()} {record}\n", 0o644)
        daemon = self.daemon({"Mode": "v", "TestDNSData": "file:" + records})
        with open(key, "rb") as file:
            raw = dkim.sign(harness.MESSAGE, b"sel", b"example.com", file.read()) + harness.MESSAGE
        for _ in range(2):
            outcome = daemon.send(milterclient.Message.parse(raw))
            self.assertTrue(outcome.accepted)
            self.assertIn(b"dkim=pass", outcome.results[0])
            mark = daemon.log_mark()
            daemon.signal(signal.SIGUSR1)
            daemon.expect("configuration reloaded", since=mark)


if __name__ == "__main__":
    harness.main()
