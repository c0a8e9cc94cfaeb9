#!/usr/bin/python3
"""Child processes that are stuck or were taken over (hostile_signer.c) and what the supervisor makes of them."""
import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import time

import harness
import postfix
import test_ctl


class HostileSigner(test_ctl.Base):
    def setUp(self):
        super().setUp()
        self.port = postfix.free_port()
        self.told = self.write("told", "nothing\n", 0o644)
        programs = self.path("programs")
        os.mkdir(programs, 0o755)
        for name in ("hsmdkim", "hsmdkim-metrics"):
            shutil.copy(os.path.join(harness.BIN, name), programs)
        shutil.copy(os.path.join(harness.BIN, "hostile-signer"), os.path.join(programs, "hsmdkim-signer"))
        self.filter = self.file_key_daemon({**self.control, "MetricsListen": f"127.0.0.1:{self.port}"}, allowed=["signer process: "],
                                           environment={"HSMDKIM_HOSTILE": self.told}, start=False)
        self.filter.program = os.path.join(programs, "hsmdkim")
        self.filter.start()
        self.all_up()

    def tell(self, what):
        self.write("told", what + "\n", 0o644)

    def scrape(self):
        """The HTTP status, 0 while nobody listens."""
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as http_:
            http_.request("GET", "/metrics")
            return http_.getresponse().status
        return 0

    def test_sections_that_are_not_expected(self):
        self.assertIn("failures", self.ask("status"))
        for what in ("twice", "columns"):
            self.tell(what)
            mark = self.filter.log_mark()
            status = self.ask("status")
            self.assertNotIn("failures", status, what)
            self.assertEqual(2, len(status["processes"]), "the others' answers are shown")
            self.filter.expect("signer process: its answer makes no sense", since=mark)
        self.tell("nothing")
        self.assertIn("failures", self.ask("status"))

    def test_more_numbers_than_a_scraper_takes(self):
        harness.wait_for(lambda: self.scrape() == 200, 30, "metrics are served")
        self.tell("much")
        self.filter.allowed.append("metrics: ")

        def refused_and_told_once():
            """On a busy host so long an answer may come too late to count."""
            before = self.filter.log().count("the processes report more than")
            return [self.scrape() for _ in range(3)] == [503] * 3 and \
                self.filter.log().count("the processes report more than") - before <= 1
        harness.wait_for(refused_and_told_once, 120, "three scrapes are refused, with one line in the log")
        self.assertIn("the processes report more than", self.filter.log())
        self.assertIn("too long", self.ctl("metrics", status=75))
        self.assertEqual(60000, len(self.ask("status")["failures"]))
        self.ctl("status")
        self.tell("nothing")
        self.assertEqual(200, self.scrape(), "by the same process")
        self.assertNotIn("metrics process: ended", self.filter.log())

    def test_an_answer_to_no_question(self):
        pid = self.filter.signer_pid()
        self.tell("unasked")
        self.ask("status")
        self.filter.expect("signer process: answers what it was not asked; it is killed")
        self.tell("nothing")
        harness.wait_for(lambda: self.filter.signer_pid() != pid, 20, "a new signer")
        self.all_up()

    def test_tables_that_never_come_into_force(self):
        """It says that it has loaded them, and no more: it is started again, with the new ones."""
        pid = self.filter.signer_pid()
        self.tell("never commit")
        reload = subprocess.Popen([test_ctl.CTL, "-S", self.socket, "reload"], stderr=subprocess.PIPE)
        self.filter.expect("it did not switch to its tables in time; it is killed", 40)
        self.assertIsNone(reload.poll(), "nothing is said before it is so")
        self.assertNotIn("configuration reloaded", self.filter.log())
        self.tell("nothing")
        # The one that started meanwhile may have heard the word, too: then another one follows.
        self.filter.expect("configuration reloaded", 60)
        self.assertEqual(0, reload.wait(60), reload.stderr.read())
        reload.stderr.close()
        self.assertNotEqual(pid, self.filter.signer_pid())
        self.assertEqual((2, 1), tuple(self.ask("status")["daemon"][name] for name in ("generation", "reloads")))


class Stuck(test_ctl.Base):
    def test_children_that_are_stuck_are_started_anew(self):
        """They owe answers, read nothing and say nothing. The supervisor does not wait for them, and says so once."""
        for kind in ("signer", "milter"):
            daemon = self.file_key_daemon({**self.control, "ControlSocket": self.path(kind)}, allowed=[rf"{kind} process: "])
            self.socket = self.path(kind)
            self.all_up()
            pid = daemon.child(kind)
            os.kill(pid, harness.signal.SIGSTOP)
            for _ in range(400):  # more questions than its socket has room for
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(5)
                    sock.connect(self.socket)
                    sock.sendall(b"metrics\n")
            started = time.monotonic()
            self.assertEqual(2, len(self.ask("status")["processes"]))
            self.assertLess(time.monotonic() - started, 9, "a child's time, not the ten seconds of a full socket")

            def noticed():
                self.ask_raw(b"status\n")  # for it is asked, not watched
                return re.findall(rf"{kind} process: (?:answers no questions|does not read).*", daemon.log())
            self.assertEqual(1, len(harness.wait_for(noticed, 60, "it is noticed")), daemon.log())
            harness.wait_for(lambda: daemon.child(kind) != pid, 20, f"a new {kind}")
            self.all_up()
            self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
            daemon.stop()
            self.assertEqual(1, len(re.findall("answers no questions|does not read", daemon.log())), daemon.log())


if __name__ == "__main__":
    harness.main()
