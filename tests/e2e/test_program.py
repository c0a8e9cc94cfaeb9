#!/usr/bin/python3
"""The program as an administrator meets it: options, sockets, PID file, background, exit codes, foreign settings."""
import os
import re
import signal
import stat
import subprocess

import harness
import milterclient
import postfix


class Program(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")

    def run_program(self, *options):
        return subprocess.run([os.path.join(harness.BIN, "hsmdkim"), *options], capture_output=True, timeout=300,
                              check=False, text=True)

    def test_version(self):
        result = self.run_program("-V")
        self.assertEqual(0, result.returncode)
        self.assertRegex(result.stdout, r"hsmdkim.* v?\d+\.\d+")

    def test_a_user_that_cannot_be_taken_is_said(self):
        """Only root can become UserID; a daemon that another user starts runs as that one, and says so."""
        conf = harness.for_user(self.write("user.conf", "Mode v\nUserID root\nSocket nonsense:x\n", 0o644))
        program = harness.for_user(os.path.join(harness.BIN, "hsmdkim"))
        result = subprocess.run([program, "-f", "-x", conf], capture_output=True, timeout=300, check=False, text=True,
                                cwd="/", **({"user": "nobody"} if os.geteuid() == 0 else {}))
        self.assertEqual(78, result.returncode, result.stderr)
        self.assertRegex(result.stderr, r"warning: UserID root is not used: hsmdkim was not started by root and runs as user \d+\n")

    def test_all_bad_rows_are_told_at_the_start(self):
        """Of the tables of both processes, once each, then it ends."""
        keys = self.write("KeyTable", "k1 example.com:s1:/k.pem\nk2\nk3 nothing\n")
        signers = self.write("SigningTable", "example.com nosuch\nexample.net\nexample.org k1:me\n")
        conf = self.write("conf", f"Mode s\nSocket local:{self.path('socket')}\nKeyTable {keys}\nSigningTable {signers}\n"
                                  "PeerList 10.0.0.1/8,!\nSyslog no\n")
        result = self.run_program("-f", "-x", conf)
        self.assertEqual(78, result.returncode, result.stderr)
        for text in (f"{keys}:2: 'k2' has no value", f"{keys}:3: key 'k3': ", f"{signers}:1: 'example.com' -> 'nosuch' names a key",
                     f"{signers}:2: 'example.net' has no value", f"{signers}:3: 'example.org' -> 'k1:me' has a signer",
                     f"{conf}:5: entry 1 of PeerList: ", f"{conf}:5: entry 2 of PeerList: "):
            self.assertEqual(1, result.stderr.count(text), f"{text}\n{result.stderr}")
        self.assertFalse(os.path.exists(self.path("socket")))

    def test_all_files_that_cannot_be_read_are_told_at_the_start(self):
        """Each with the place of its setting, the error first."""
        conf = self.write("conf", f"Socket local:{self.path('sock')}\nInternalHosts {self.path('a')}\nPeerList {self.path('b')}\n")
        run = self.run_program("-f", "-x", conf)
        self.assertEqual(78, run.returncode, run.stderr)
        self.assertRegex(run.stderr, rf"(?s)error: {conf}:2: InternalHosts: .*warning: also wrong: {conf}:3: PeerList: ")

    def test_help_is_asked_for(self):
        for option in ("-h", "--help"):
            result = self.run_program(option)
            self.assertEqual((0, ""), (result.returncode, result.stderr))
            self.assertIn("\n  -n               check the configuration and exit\n", result.stdout)

    def test_an_aborted_test_leaves_nothing_running(self):
        """That is the harness's: its daemon ends when the test is killed, and the children with it."""
        script = self.write("aborted.py", f"""
import sys, time
sys.path.insert(0, {harness.HERE!r})
import harness
daemon = harness.Daemon({self.directory!r}, {{"Domain": "example.com", "Selector": "s", "KeyFile": {self.path("key")!r}}}).start()
print(daemon.process.pid, daemon.milter_pid(), daemon.signer_pid(), flush=True)
time.sleep(600)
""")
        harness.make_key_file(self.path("key"), owner="root")
        with subprocess.Popen(["/usr/bin/python3", script], stdout=subprocess.PIPE) as test:
            pids = [int(pid) for pid in test.stdout.readline().split()]
            test.kill()
        self.assertEqual(3, len(pids))
        harness.wait_for(lambda: not any(map(harness.alive, pids)), 20, "the daemon is gone")

    def test_exit_codes(self):
        conf = self.write("conf", "Mode s\nSocket local:/nowhere/at/all.sock\n")
        good = self.write("good", f"Mode v\nSocket local:{self.path('sock')}\n")
        for options, status in ((["-!"], 64), (["-x"], 64), (["-x", conf, "extra"], 64),
                                (["-n", "-x", self.path("no.such.file")], 78), (["-n", "-x", good], 0),
                                (["-f", "-x", conf], 69)):
            with self.subTest(options=options):
                result = self.run_program(*options)
                self.assertEqual(status, result.returncode, result.stderr)
                self.assertEqual(status == 0, result.stderr == "", "says why")

    def test_one_setting(self):
        conf = self.write("conf", "Mode s\nMinimumKeyBits 2048\nLogWhy yes\n")
        for name, status, text in (("minimumkeybits", 0, "2048\n"), ("Mode", 0, "s\n"), ("LogWhy", 0, "yes\n"), ("KeyTable", 78, ""),
                                   ("Nonsense", 65, "")):
            result = self.run_program("-x", conf, "-e", name)
            self.assertEqual((status, text), (result.returncode, result.stdout), name)

    def test_queries(self):
        self.write("table", "one a:b\ntwo\n")
        def ask(text):
            return subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-Q"], input=text, capture_output=True, timeout=300, check=False, text=True)
        result = ask("csl:k=a:b,x\nk/1\nk/3\nx/1\nno/1\n")
        self.assertEqual((0, "'a'\n'a'\n'b'\n<absent>\n<empty>\n"), (result.returncode, result.stdout))
        self.assertIn("record not found", result.stderr)
        self.assertEqual("'a:b'\n".replace("a:b", "a"), ask(f"file:{self.path('table')}\none/1\n").stdout)
        self.assertEqual(64, ask("csl:a=b\nnonsense\n").returncode)
        self.assertEqual(70, ask("file:/no/such/file\n").returncode)

    def test_no_socket(self):
        self.assertEqual(78, self.run_program("-f", "-x", self.write("conf", "Mode s\n")).returncode)

    def test_sockets(self):
        for form in ("inet:{}@127.0.0.1", "inet:{}@localhost", "inet6:{}@[::1]"):
            with self.subTest(form=form):
                daemon = self.file_key_daemon({"Socket": form.format(postfix.free_port())})
                self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
                daemon.stop()

    def test_socket_of_the_command_line_wins(self):
        daemon = self.file_key_daemon(start=False)
        daemon.socket = "local:" + self.path("other.sock")
        daemon.options = ["-p", daemon.socket]
        self.assert_signed(daemon.start().send(harness.MESSAGE), ("sel",))

    def test_unix_socket_rights_and_stale_socket(self):
        daemon = self.file_key_daemon({"UMask": "0117"}, start=False)
        path = daemon.socket.partition(":")[2]
        with milterclient.socket.socket(milterclient.socket.AF_UNIX) as stale:
            stale.bind(path)  # and nobody listens
        daemon.start()
        self.assertEqual(0o660, stat.S_IMODE(os.stat(path).st_mode))
        daemon.stop()
        self.assertFalse(os.path.exists(path), "the socket goes with the daemon")

    def test_socket_in_a_folder_that_systemd_keeps_read_only(self):
        folder = self.path("ro")
        os.mkdir(folder)
        conf = self.path("ro.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"Mode v\nSocket local:{folder}/socket\nUserID {harness.USER}\n")
        mount = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$0" || exit 200; exec "$@"', folder]
        done = subprocess.run(mount + ["true"], capture_output=True, check=False)
        harness.need(self, done.returncode == 0, "the right to mount a file system")
        done = subprocess.run(mount + [os.path.join(harness.BIN, "hsmdkim"), "-f", "-x", conf], capture_output=True, timeout=60, check=False)
        self.assertEqual(69, done.returncode)
        self.assertIn(b"ReadWritePaths=", done.stderr)

    def test_second_daemon_on_the_same_socket(self):
        first = self.file_key_daemon()
        result = self.run_program("-f", "-x", first.conf)
        self.assertEqual(69, result.returncode, result.stderr)
        self.assert_signed(first.send(harness.MESSAGE), ("sel",))

    def test_pid_file_of_another_daemon(self):
        """One that runs keeps its own; what is left of one that died is no obstacle, whoever has that number by now."""
        pid_file = self.path("hsmdkim.pid")
        first = self.file_key_daemon({"PidFile": pid_file})
        with open(pid_file, encoding="ascii") as file:
            text = file.read()
        conf = self.write("second.conf", f"Mode v\nSocket local:{self.path('second')}\nPidFile {pid_file}\n")
        result = self.run_program("-f", "-x", conf)
        self.assertEqual(69, result.returncode, result.stderr)
        self.assertIn(f"{conf}:3: PidFile {pid_file}: process {int(text)} uses it, another hsmdkim; stop that one", result.stderr)
        with open(pid_file, encoding="ascii") as file:
            self.assertEqual(text, file.read())
        self.assert_signed(first.send(harness.MESSAGE), ("sel",))
        for stale in (str(os.getpid()), text, "", "-1", "nonsense"):
            with self.subTest(stale=stale):
                self.write("stale.pid", stale, 0o644)
                self.daemon({"Mode": "v", "PidFile": self.path("stale.pid")}).stop()
                self.assertFalse(os.path.exists(self.path("stale.pid")))
        result = self.run_program("-f", "-x", self.write("second.conf", f"Mode v\nSocket local:{self.path('second')}\n"
                                                                        f"PidFile {self.path('none')}/p\n"))
        self.assertIn("No such file or directory; make its folder", result.stderr)

    def test_background_and_pid_file(self):
        """The parent returns when mail can be sent; the PID file names the supervisor."""
        pid_file = self.path("hsmdkim.pid")
        daemon = self.file_key_daemon({"PidFile": pid_file}, start=False)
        result = self.run_program("-x", daemon.conf)
        self.assertEqual(0, result.returncode, result.stderr)
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        family = {pid, *harness.children_of(pid)}
        try:
            self.assertEqual(3, len(family))
            self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        finally:
            os.kill(pid, signal.SIGTERM)
            harness.wait_for(lambda: not any(map(harness.alive, family)), 20, "all of it ends")
        self.assertFalse(os.path.exists(pid_file))

    def test_settings_of_opendkim(self):
        """Known there and not here: a warning with advice. Known nowhere: an error."""
        conf = self.write("conf", f"Socket local:{self.path('s')}\nMode s\nFinalPolicyScript /x.lua\nTemporaryDirectory /tmp\n")
        result = self.run_program("-n", "-x", conf)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(2, len(re.findall(r"(?m)^warning: .*(FinalPolicyScript|TemporaryDirectory)", result.stderr)))
        conf = self.write("conf", "FinalPolicyScripts /x.lua\n")
        result = self.run_program("-n", "-x", conf)
        self.assertEqual(78, result.returncode)
        self.assertRegex(result.stderr, r"conf: configuration error at line 1: .*FinalPolicyScripts")

    def test_debian_configuration(self):
        """What Debian's opendkim installs, with its paths changed, loads and signs."""
        daemon = self.file_key_daemon({
            "Syslog": "no", "SyslogSuccess": "yes", "Canonicalization": "relaxed/simple", "OversignHeaders": "From",
            "UMask": "007", "PidFile": self.path("pid"), "TrustAnchorFile": "/usr/share/dns/root.key",
        }, allowed=[r"TrustAnchorFile"])
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))


if __name__ == "__main__":
    harness.main()
