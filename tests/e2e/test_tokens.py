#!/usr/bin/python3
"""The same tests on every kind of token that Debian has (tokens.py): keys made by our own tool, mail signed and verified,
a wrong PIN, keys from outside; and what each kind's own way to fail looks like, without a shim in between."""
import concurrent.futures
import os
import re
import signal
import time

import harness
import tokens

TIMEOUT_S = 4  # TokenTimeout: short, so that a hang is seen soon
ANSWER_S = TIMEOUT_S + 4
RECOVERY_S = 60
TROUBLE = r"cannot sign|error loading key|not signed|signer process|token|PIN|module|session|killed by signal|ended with status"


class TokenCase(harness.Case):
    kind = None

    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")
        missing = self.kind.missing()
        harness.need(self, missing is None, missing)
        self.token = self.kind(self.path("token"))
        self.addCleanup(self.token.stop)
        self.token.start()
        self.zone, self.uris = {}, {}

    def make(self, selector, *options):
        self.uris[selector], self.zone[f"{selector}._domainkey.example.com"] = self.token.genkey(selector, *options)

    def write_tables(self):
        """All keys made so far sign."""
        self.token.ready()
        self.write("KeyTable", "".join(f"{key} example.com:{key}:{uri}\n" for key, uri in self.uris.items()))
        self.write("SigningTable", "".join(f"*@example.com {key}\n" for key in self.uris))

    def start(self, environment=None, **settings):
        self.write_tables()
        daemon = self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                            "MultipleSignatures": "yes", "PKCS11Module": self.token.module,
                            "PKCS11PinSource": "file:" + self.token.pin_file, "TokenSessions": str(self.token.sessions),
                            "TokenTimeout": f"{TIMEOUT_S}s", "SignerUserID": self.token.user, **settings},
                           {**self.token.environment(), **(environment or {})}, allowed=[TROUBLE, *self.token.noise])
        if environment is None:
            self.back(daemon)  # a slow host's first signature may miss its deadline
        return daemon

    def signed(self, daemon):
        self.assert_signed(daemon.send(harness.MESSAGE), tuple(self.uris))

    def lose(self, away, back, pattern, remembered=False):
        """Deferred as long as it is away, and back in service without anyone's help."""
        self.make("rsa")
        daemon = self.start()
        self.signed(daemon)
        away()
        try:
            self.forget(daemon, remembered)
            self.deferred(daemon, pattern)
        finally:
            if back:
                back()
        self.back(daemon)

    def lose_folder(self, pattern):
        folder = self.token.folder
        self.lose(lambda: os.rename(folder, folder + ".away"), lambda: os.rename(folder + ".away", folder), pattern,
                  self.token.remembers_files)

    def forget(self, daemon, remembered):
        """A loss that the signer process does not notice hurts no mail, until there is a new one."""
        if remembered:
            self.signed(daemon)
            self.restart_signer(daemon)

    def restart_signer(self, daemon):
        with daemon.without_signer():
            self.token.tidy()

    def reload(self, daemon):
        since = daemon.log_mark()
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded", since=since)

    def reload_with_pin(self, daemon):
        self.token.write_pin(self.token.pin)
        self.reload(daemon)
        self.back(daemon)

    def deferred(self, daemon, pattern, timeout=RECOVERY_S):
        """Until a message is deferred with this line in the log; each answer is in time, none is unsigned."""
        since = daemon.log_mark()

        def deferred():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            self.assertLess(outcome.seconds, ANSWER_S)
            time.sleep(0.1)  # the log stays readable
            return outcome.temporary and re.search(r"cannot sign: d=example\.com .*" + pattern, daemon.log()[since:])
        try:
            return harness.wait_for(deferred, timeout, f"deferred with /{pattern}/")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{daemon.log()}") from None

    def back(self, daemon, timeout=RECOVERY_S):
        """Until mail is signed again; meanwhile none is accepted unsigned."""
        def signed():
            outcome = daemon.send(harness.MESSAGE)
            self.assertTrue(outcome.temporary or outcome.signatures, f"unsigned: {outcome.answer} {outcome.reply}")
            time.sleep(0.1)
            return outcome if outcome.signatures else None
        self.assert_signed(harness.wait_for(signed, timeout, f"the service is back\n{daemon.log()}"), tuple(self.uris))


class Shared:
    """What every kind must do."""

    def test_sign(self):
        """Made by hsmdkim-genkey, found, audited, one line in the log; dkimpy verifies what it signs."""
        self.make("rsa")
        if self.token.ed25519:
            self.make("ed", "--type", "ed25519")
        daemon = self.start()
        for _ in range(3):
            self.signed(daemon)
        for key in self.uris:
            daemon.expect(rf"key {key} \(.* bits, sensitive, not extractable \(never was\)")

    def test_parallel(self):
        """More messages at once than there are sessions."""
        self.make("rsa")
        daemon = self.start(TokenSessions="4", TokenTimeout="20s")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for outcome in pool.map(lambda _: daemon.send(harness.MESSAGE), range(64)):
                self.assert_signed(outcome, tuple(self.uris))

    def test_new_key(self):
        """Made while the daemon runs; a reload is all it needs."""
        self.make("rsa")
        daemon = self.start()
        self.signed(daemon)
        self.make("new")
        self.write_tables()
        self.reload(daemon)
        self.back(daemon)

    def test_wrong_pin_is_sent_once(self):
        """For all messages, also by the next signer process; a reload with the right one heals."""
        self.make("rsa")
        calls = self.write("calls", "", mode=0o666)
        self.token.write_pin("11111111")
        spy = {"PKCS11SPY": self.token.module, "PKCS11SPY_OUTPUT": calls}
        daemon = self.start(environment=spy, PKCS11Module=harness.SPY)

        def logins():
            with open(calls, encoding="utf-8", errors="replace") as file:
                return file.read().count(": C_Login\n")
        for _ in range(3):
            self.deferred(daemon, "PIN")
        self.restart_signer(daemon)
        self.deferred(daemon, "PIN")
        self.assertEqual(1, logins())
        self.reload_with_pin(daemon)

    def test_pin_changed(self):
        """Sessions go on; the next signer process is refused, once, until the daemon is told the new PIN."""
        self.make("rsa")
        daemon = self.start()
        self.signed(daemon)
        self.token.change_pin("97531864")
        self.signed(daemon)
        self.restart_signer(daemon)
        self.deferred(daemon, "PIN.*correct the PIN, then reload")
        self.reload_with_pin(daemon)

    def outside_key(self):
        key = self.path("key.pem")
        harness.make_key_file(key, owner="root")
        return key

    def test_import(self):
        if self.token.imports:
            self.make("rsa", "--import", self.outside_key())
            daemon = self.start()
            self.signed(daemon)
            daemon.expect(r"key rsa \(.*" + ("was exposed or imported" if self.token.knows_imports else "never was"))
        else:
            self.assertRaisesRegex(AssertionError, "some tokens take none from outside", self.make, "rsa", "--import",
                                   self.outside_key())

    def test_key_deleted(self):
        self.key_lost(lambda: self.token.delete_key("rsa"))

    def test_initialised_again(self):
        """With the same name and PIN."""
        self.key_lost(self.token.initialise_again)

    def key_lost(self, lose):
        """And put there again where that can be: it is the same key, so nobody has to say so."""
        how = ("--import", self.outside_key()) if self.token.imports else ()
        self.make("rsa", *how)
        daemon = self.start()
        self.signed(daemon)
        lose()
        self.token.ready()
        self.forget(daemon, self.token.remembers_keys)
        self.deferred(daemon, "the key is not there any more|no private key has object=rsa")
        self.make("rsa", *how)
        self.token.ready()
        if self.token.remembers_keys:
            self.reload(daemon)
        self.back(daemon)

    def test_key_replaced(self):
        """Another key of the same name is another key: what was meant for the old one is not signed with it; what comes next is
        signed with the new one, and nobody has to reload."""
        self.make("rsa")
        daemon = self.start()
        self.signed(daemon)
        self.token.delete_key("rsa")
        self.make("rsa")
        self.token.ready()
        if self.token.remembers_keys:
            since = daemon.log_mark()
            self.restart_signer(daemon)  # the milter forgets the old key a moment before or after the next message
            outcome = daemon.send(harness.MESSAGE)
            if not outcome.signatures:
                daemon.expect("cannot sign: .*(another one than before|in time)", since=since)
        else:
            self.deferred(daemon, "another key has the name by now|the key is not there any more|key was changed")
        self.back(daemon)


class SoftHsm(Shared, TokenCase):
    kind = tokens.SoftHsm

    def test_folder_away(self):
        self.lose_folder("C_Initialize: CKR_GENERAL_ERROR .*check PKCS11Module or the TokenTable")

    def test_new_signer_processes_are_no_crashes(self):
        """A reload with a key that the token lacks, and an absent token, cost a new signer process: not the service, where a
        crash would end it."""
        self.make("rsa")
        daemon = self.start(AutoRestart="no")
        since, pid = daemon.log_mark(), daemon.signer_pid()
        self.write("KeyTable", f"rsa example.com:rsa:{self.uris['rsa']}\n"
                   f"nokey example.com:nokey:{self.uris['rsa'].replace('rsa', 'nokey')}\n")
        self.reload(daemon)
        daemon.expect("signer process: starts anew, as it asked for, in 0 ms", since=since)
        daemon.expect("key nokey cannot be used", since=since)
        self.signed(daemon)
        self.assertNotEqual(pid, daemon.signer_pid())
        for _ in range(2):
            since = daemon.log_mark()
            os.rename(self.token.folder, self.token.folder + ".away")
            self.deferred(daemon, "CKR_")
            os.rename(self.token.folder + ".away", self.token.folder)
            daemon.expect("signer process: starts anew", since=since)
            self.back(daemon)
        self.assertNotIn("ended with status", daemon.log())


class Remote(Shared, TokenCase):
    kind = tokens.Remote

    def test_connection_killed(self):
        self.lose(lambda: self.each_remote(signal.SIGKILL), None, "CKR_DEVICE_ERROR .*see the log of the token's own software")

    def test_connection_stopped(self):
        self.lose(lambda: self.each_remote(signal.SIGSTOP), None, "did not answer.*see whether the token (hangs or )?is overloaded")

    def test_server_killed(self):
        def kill():
            self.each_remote(signal.SIGKILL)
            self.token.stop()

        def start():
            self.token.serve()
            self.token.ready()
        self.lose(kill, start, "CKR_DEVICE_ERROR .*see the log of the token's own software")

    def each_remote(self, number):
        for pid in self.token.remotes():
            os.kill(pid, number)


class Tpm(Shared, TokenCase):
    kind = tokens.Tpm

    def test_stopped(self):
        chip = lambda number: self.token.processes[-1].send_signal(number)  # noqa: E731
        self.lose(lambda: chip(signal.SIGSTOP), lambda: chip(signal.SIGCONT), "did not answer.*see whether the token (hangs or )?is overloaded")

    def test_killed(self):
        self.lose(self.token.stop, self.token.power_on, "C_Sign: CKR_GENERAL_ERROR .*see the log of the token's own software")

    def test_folder_away(self):
        self.lose_folder("C_Initialize: CKR_GENERAL_ERROR .*check PKCS11Module or the TokenTable")


class OpenCryptoki(Shared, TokenCase):
    kind = tokens.OpenCryptoki

    def test_initialised_again(self):
        """It refuses that as long as anyone has a session."""
        self.make("rsa")
        daemon = self.start()
        self.signed(daemon)
        self.assertRaisesRegex(AssertionError, "CKR_SESSION_EXISTS", self.token.initialise_again)
        self.signed(daemon)

    def test_folder_away(self):
        self.lose_folder("none of 0 tokens is initialised.*mend the connection")

    def test_daemon_killed(self):
        self.lose(self.token.stop_daemon, self.token.serve,
                  "C_Initialize: CKR_FUNCTION_FAILED .*see the log of the token's own software", remembered=True)


if __name__ == "__main__":
    harness.main()
