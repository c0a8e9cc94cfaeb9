#!/usr/bin/python3
"""Dialogues of the distribution's miltertest, an MTA that is scripted in Lua: another implementation of the MTA's side than
Postfix and tests/e2e/milterclient.py. The scripts are in tests/e2e/miltertest/; dialogue.lua is what they share."""
import os
import shutil
import subprocess

import harness

SCRIPTS = os.path.join(harness.HERE, "miltertest")


class Dialogues(harness.Case):
    def run_script(self, name, daemon):
        program = shutil.which("miltertest")
        harness.need(self, program is not None, "miltertest")
        with open(os.path.join(SCRIPTS, "dialogue.lua"), encoding="utf-8") as shared, \
                open(os.path.join(SCRIPTS, name + ".lua"), encoding="utf-8") as script:
            path = self.write(name + ".lua", f'script = "{name}"\n' + shared.read() + script.read() + 'mt.echo("done")\n')
        os.chmod(daemon.socket.partition(":")[2], 0o666)
        run = subprocess.run([program, "-D", "socket=" + daemon.socket, "-s", path], capture_output=True, text=True, timeout=300)
        self.assertEqual((0, True), (run.returncode, "done" in run.stdout), run.stdout + run.stderr + daemon.log())

    def test_signing(self):
        self.run_script("signing", self.file_key_daemon())

    def test_senders(self):
        daemon = self.file_key_daemon(allowed=["cannot sign"])
        self.run_script("senders", daemon)
        self.assertEqual(3, daemon.log().count("rejected (On-SignatureError)"))

    def test_macros(self):
        self.run_script("macros", self.file_key_daemon({"MTA": "submission", "MacroList": "{mark}=out|relay"}))

    def test_peers(self):
        self.run_script("peers", self.file_key_daemon({
            "PeerList": "192.0.2.9,.peer.example,!not.peer.example", "DontSignMailTo": "quiet@example.net",
            "Domain": "example.com,exempt.example", "ExemptDomains": "exempt.example"}))

    def test_verifying(self):
        record = harness.make_key_file(self.path("key.pem"))
        self.write("keys", f"sel._domainkey.example.com {record}\n", 0o644)
        self.run_script("verifying", self.daemon(
            {"Mode": "sv", "Canonicalization": "relaxed/relaxed", "Domain": "example.com", "Selector": "sel", "KeyFile": self.path("key.pem"), "AuthservID": "mail.example.com",
             "TestPublicKeys": self.path("keys")}, allowed=["."]))


if __name__ == "__main__":
    harness.main()
