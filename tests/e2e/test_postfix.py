#!/usr/bin/python3
"""Real mail through a private Postfix: SMTP and sendmail(1), bounces, and kill -9 of each process under load."""
import os
import re
import signal
import threading
import time

import harness
import postfix
import verifiers


class PostfixCase(harness.Case):
    def start_all(self, keys=("rsa2048", "ed25519"), refuse=None, settings=None, allowed=(), **main_cf):
        harness.need(self, os.geteuid() == 0, "root, to start Postfix")
        harness.need(self, os.path.exists("/usr/sbin/postfix"), "postfix")
        if harness.FILTER == "opendkim":
            self.filter = self.file_key_daemon(settings, allowed=allowed)
            self.selectors = ["sel"]
        else:
            self.filter = self.token_daemon(settings, keys=keys, allowed=allowed)
            self.selectors = list(keys)
        os.chmod(self.filter.socket.partition(":")[2], 0o666)
        self.sink = postfix.Sink(refuse)
        self.addCleanup(self.sink.close)
        os.mkdir(self.path("postfix"))
        self.postfix = postfix.Postfix(self.path("postfix"), self.filter.socket.replace("local:", "unix:"), self.sink.port,
                                        **main_cf)
        self.addCleanup(self.show_postfix_log)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()
        self.judges = verifiers.Verifiers(self.zone, self.directory)
        self.addCleanup(self.judges.close)

    def show_postfix_log(self):
        if harness.failed(self):
            print(f"--- Postfix's log of {self.id()}\n{self.postfix.log()}---")

    def assert_delivered_signed(self, raw):
        for verdict in self.judges.verdicts(raw, self.selectors).values():
            self.assertTrue(verdict.good, f"{verdict}\n{raw.decode(errors='replace')}")


class Delivery(PostfixCase):
    MESSAGES = {
        "plain": harness.MESSAGE,
        "folded": b"From: Alice\r\n <alice@example.com>\r\nSubject: one\r\n\ttwo\r\nTo: a@example.net,\r\n b@example.net\r\n"
                  b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\ntext\r\n",
        "dots": harness.MESSAGE + b".\r\n..\r\n.x\r\n",
        "blank lines": harness.MESSAGE + b"\r\n" * 20,
        "trailing spaces": harness.MESSAGE + b"a  \r\n\t\r\n  b\t\r\n",
        "8 bit": harness.MESSAGE + "Grüße\r\n".encode(),
        "no date, no id": b"From: alice@example.com\r\nSubject: Postfix adds some\r\n\r\ntext\r\n",
        "empty body": harness.MESSAGE[:harness.MESSAGE.index(b"\r\n\r\n") + 4],
        "large": harness.MESSAGE + b"a line of a large message, with words\r\n" * 20000,
        "signed before": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AA==; b=AA==\r\n" + harness.MESSAGE,
    }

    def deliver(self, canon):
        self.start_all(settings={"Canonicalization": canon})
        for number, (name, raw) in enumerate(self.MESSAGES.items()):
            for path in ("smtp", "sendmail"):
                with self.subTest(message=name, path=path):
                    before = len(self.sink.messages)
                    if path == "smtp":
                        self.assertIsNone(self.postfix.smtp(raw, options=["BODY=8BITMIME"]))
                    else:
                        self.postfix.sendmail(raw)
                    self.assert_delivered_signed(self.sink.wait(before + 1)[-1][2])
        self.assertRegex(self.filter.log() or "s=rsa2048, d=example.com", r"s=\w+, d=example.com")

    def test_simple(self):
        self.deliver("simple/simple")

    def test_relaxed(self):
        self.deliver("relaxed/relaxed")

    def test_log_lines_carry_the_queue_id(self):
        harness.need_token(self)
        self.start_all()
        self.assertIsNone(self.postfix.smtp(harness.MESSAGE))
        raw = self.sink.wait(1)[0][2]
        queue_id = re.search(rb"with E?SMTP id ([0-9A-Za-z]+)", raw)[1].decode()
        for selector in self.selectors:
            self.filter.expect(rf"\]: {queue_id}: DKIM-Signature field added \(s={selector}, d=example\.com\)\n")

    def test_bounce_is_signed(self):
        """A bounce comes from MAILER-DAEMON@$myorigin by internal_mail_filter_classes, as from 127.0.0.1."""
        self.start_all(refuse=rb"nobody@")
        self.assertIsNone(self.postfix.smtp(harness.MESSAGE, recipients=["nobody@example.net"]))
        sender, _, raw = self.sink.wait(1)[0]
        self.assertEqual(b"", sender)
        self.assertRegex(raw, rb"From: .*MAILER-DAEMON@example\.com")
        self.assert_delivered_signed(raw)

    def test_other_domains_pass_unsigned(self):
        self.start_all()
        self.assertIsNone(self.postfix.smtp(harness.MESSAGE.replace(b"alice@example.com", b"eve@example.org")))
        self.assertNotIn(b"DKIM-Signature", self.sink.wait(1)[0][2])


class Rewritten(PostfixCase):
    """What the warnings about ReplaceRules and ResignMailTo say to do instead."""

    def assert_signed_as_rewritten(self, author, **main_cf):
        self.start_all(keys=("rsa2048",), **main_cf)
        self.assertIsNone(self.postfix.smtp(harness.MESSAGE.replace(b"alice@example.com", author)))
        raw = self.sink.wait(1)[0][2]
        self.assertRegex(raw, rb"From: .*alice@example\.com")
        self.assert_delivered_signed(raw)

    def test_canonical_maps_come_before_the_signature(self):
        self.assert_signed_as_rewritten(b"alice@inner.example", canonical_maps="inline:{alice@inner.example=alice@example.com}")

    def test_masquerading_comes_before_the_signature(self):
        self.assert_signed_as_rewritten(b"alice@host.example.com", masquerade_domains="example.com")

    def test_generic_maps_come_behind_it(self):
        self.start_all(keys=("rsa2048",), smtp_generic_maps="inline:{alice@example.com=alice@outer.example}")
        self.assertIsNone(self.postfix.smtp(harness.MESSAGE))
        raw = self.sink.wait(1)[0][2]
        self.assertRegex(raw, rb"From: .*alice@outer\.example")
        for verdict in self.judges.verdicts(raw, self.selectors).values():
            self.assertFalse(verdict.good)

    def test_mail_of_a_list_is_signed_for_its_sender(self):
        self.start_all(keys=("rsa2048",), settings={"SenderHeaders": "Sender,From"})
        self.assertIsNone(self.postfix.smtp(b"Sender: list-bounces@example.com\r\n"
                                            + harness.MESSAGE.replace(b"alice@example.com", b"eve@example.org")))
        self.assert_delivered_signed(self.sink.wait(1)[0][2])


class Kill(PostfixCase):
    """kill -9 under load. Clients try again as MTAs do, so all must arrive, and all signed."""
    CLIENTS = 6
    MESSAGES = 25

    def load(self, path):
        """Each client sends its messages, each until it is taken. Runs until all are taken or a deadline passes."""
        deadline = time.monotonic() + 240
        self.lost = []

        def client(number):
            for index in range(self.MESSAGES):
                raw = harness.MESSAGE.replace(b"Subject: A test", b"Subject: %d/%d" % (number, index))
                while True:
                    if path == "sendmail":
                        self.postfix.sendmail(raw)
                        break
                    if self.postfix.smtp(raw) is None:
                        break
                    if time.monotonic() > deadline:
                        self.lost.append((number, index))
                        break
                    time.sleep(0.05)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def check_all(self, threads):
        for thread in threads:
            thread.join(300)
            self.assertFalse(thread.is_alive(), "a client hangs")
        self.assertEqual([], self.lost, "never taken")
        wanted = {f"{number}/{index}" for number in range(self.CLIENTS) for index in range(self.MESSAGES)}

        def arrived():
            self.postfix.flush()
            time.sleep(0.2)  # flush asks qmgr for a whole scan; not more than five a second
            return wanted <= {postfix.header_of(raw)["Subject"] for _, _, raw in self.sink.messages}
        harness.wait_for(arrived, 120, "every message is delivered")
        judge = verifiers.Dkimpy(self.zone)
        for _, _, raw in self.sink.messages:
            verdicts = judge.verify(raw)
            self.assertEqual(sorted(self.selectors), sorted(verdict.selector for verdict in verdicts))
            self.assertTrue(all(verdict.good for verdict in verdicts), [str(verdict) for verdict in verdicts])

    def kill_under_load(self, kind, path="smtp", times=3):
        # what dies is reported, and what was lost with it
        self.start_all(keys=("rsa2048",), allowed=[r"signer|milter|peer process|killed|restart|deferred|not signed"])
        threads = self.load(path)
        for round_ in range(times):
            count = len(self.sink.messages)
            harness.wait_for(lambda: len(self.sink.messages) > count + 5 or not any(map(threading.Thread.is_alive, threads)),
                             30, "mail flows")
            pid = self.filter.child(kind)
            os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: self.filter.child(kind) != pid, 20, f"a new {kind} process")
        self.check_all(threads)

    def test_kill_signer(self):
        harness.need_token(self)
        self.kill_under_load("signer")

    def test_kill_milter(self):
        harness.need_token(self)
        self.kill_under_load("milter")

    def test_kill_milter_sendmail(self):
        """sendmail(1) has no client to try again: the message stays in maildrop and in the queue."""
        harness.need_token(self)
        self.kill_under_load("milter", "sendmail", times=2)

    def test_kill_supervisor(self):
        """Nothing outlives it; mail gets a 4xx until it is started again, and then all of it leaves signed."""
        harness.need_token(self)
        self.start_all(keys=("rsa2048",), allowed=["."])
        threads = self.load("smtp")
        for _ in range(2):
            count = len(self.sink.messages)
            harness.wait_for(lambda: len(self.sink.messages) > count + 5 or not any(map(threading.Thread.is_alive, threads)),
                             30, "mail flows")
            pids = [self.filter.milter_pid(), self.filter.signer_pid()]
            self.filter.process.kill()
            self.filter.process.wait()
            harness.wait_for(lambda: not any(map(harness.alive, pids)), 10, "the children end with their supervisor")
            self.filter.start()
            os.chmod(self.filter.socket.partition(":")[2], 0o666)
        self.check_all(threads)


if __name__ == "__main__":
    harness.main()
