"""docs/TUTORIAL.md, executed: every command is taken from the page. Paths lead into a temporary directory, and a few programs
(apt-get, systemctl, Postfix's, the resolver that the tools ask) are bent to this test's own servers."""
import os
import re
import subprocess
import sys
import unittest

import dkim

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
import postfix  # noqa: E402
from common import BIN, SRCDIR  # noqa: E402
from nameserver import Bind, find_program  # noqa: E402


@unittest.skipUnless(os.geteuid() == 0, "Postfix and users need root")
class Tutorial(harness.Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        tsig = subprocess.run([find_program("tsig-keygen"), "up"], check=True, capture_output=True, text=True).stdout
        self.server = Bind(self.path("named"), {"example.com": "@ NS ns1\nns1 A 127.0.0.1\n"}, extra=tsig,
                           zone_options={"example.com": "allow-update { key up; };"})
        self.addCleanup(self.server.stop)
        os.makedirs(self.path("root/etc/hsmdkim"))
        os.makedirs(self.path("root/var/lib"))
        os.makedirs(self.path("root/run/hsmdkim"))  # the unit's RuntimeDirectory
        os.chmod(self.path("root"), 0o755)
        self.write("root/etc/hsmdkim/tsig.key", tsig)
        self.port = postfix.free_port()
        self.sink = postfix.Sink()
        self.addCleanup(self.sink.close)
        os.mkdir(self.path("postfix"))
        self.postfix = postfix.Postfix(self.path("postfix"), "", self.sink.port)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()
        os.mkdir(self.path("bin"))
        self.sbin = self.path("root/usr/sbin")  # where the page's first command puts them
        self.shims()

    def shim(self, name, text):
        self.write("bin/" + name, "#!/bin/bash\n" + text + "\n", mode=0o755)

    def shims(self):
        ask = "--nameserver %s" % self.server.at()
        self.shim("apt-get", "exit 0")
        self.shim("systemd-sysusers", "exit 0")
        self.shim("cmake", "[ \"$*\" = '--install build/release --prefix /usr' ] || exit 1\nDESTDIR=%s/root exec %s --install %s --prefix /usr" % (
            self.directory, find_program("cmake"), os.path.dirname(os.path.abspath(BIN))))
        self.shim("systemctl", "[ \"$*\" = daemon-reload ] && exit\n[ \"$*\" = 'enable --now hsmdkim' ] || exit 1\n%s/hsmdkim -f -x %s/root/etc/hsmdkim.conf 2>>%s/log >&2 </dev/null & "
                  "echo $! >%s/pid" % (self.sbin, self.directory, self.directory, self.directory))
        self.shim("postconf", "exec /usr/sbin/postconf -c %s \"$@\"" % self.postfix.conf)
        self.shim("postfix", "exec /usr/sbin/postfix -c %s \"$@\"" % self.postfix.conf)
        self.shim("sendmail", "exec /usr/sbin/sendmail -C %s \"$@\"" % self.postfix.conf)
        self.shim("nsupdate", "(echo server 127.0.0.1 %d; cat \"$3\") | /usr/bin/nsupdate \"$1\" \"$2\"" % self.server.port)
        self.shim("hsmdkim-testkey", "exec %s/hsmdkim-testkey %s --port %d \"$@\"" % (self.sbin, ask, self.server.port))
        self.shim("hsmdkim-testmsg", "exec %s/hsmdkim-testmsg %s \"$@\"" % (self.sbin, ask))

    def commands(self):
        """All ```sh blocks as one script, its paths below our root."""
        with open(os.path.join(SRCDIR, "docs/TUTORIAL.md"), encoding="utf-8") as page:
            blocks = re.findall(r"^```sh\n(.*?)^```$", page.read(), re.M | re.S)
        self.assertGreaterEqual(len(blocks), 10)
        text = "".join(blocks)
        for path in ("/etc/hsmdkim", "/etc/systemd", "/var/lib/hsmdkim-token", "/run/hsmdkim"):
            text = text.replace(path, self.path("root") + path)
        text = text.replace("8891", str(self.port)).replace("hsmdkim:", harness.USER + ":").replace(
            "UserID           hsmdkim", "UserID           " + harness.USER).replace("Syslog           yes", "Syslog           no")
        return "set -euxo pipefail\n" + text

    def stop_daemon(self):
        try:
            with open(self.path("pid"), encoding="ascii") as text:
                pid = int(text.read())
        except FileNotFoundError:
            return
        os.kill(pid, 15)
        harness.wait_for(lambda: not harness.alive(pid), 20, "the daemon ends")

    def test_every_command_works_and_the_mail_is_signed(self):
        self.addCleanup(self.stop_daemon)
        script = self.commands()
        start = script.index("sendmail ")  # the daemon has to be up: systemctl waits for READY, our stand-in does not
        first = self.run_script(script[:start])
        harness.wait_for(lambda: "starting" in self.log(), 20, "the daemon starts")
        self.run_script("set -euxo pipefail\nexport SOFTHSM2_CONF=%s\n" % self.path("root/etc/hsmdkim/softhsm2.conf") + script[start:])
        self.assertIn("key OK", first)
        (_, recipients, raw), = self.sink.wait(1)
        self.assertEqual(recipients, [b"bob@example.net"])
        self.assertIn(b"s=mail2026", raw)
        with open(self.path("root/etc/hsmdkim/mail2026.txt"), encoding="ascii") as text:
            record = "".join(re.findall(r'"([^"]*)"', text.read()))
        self.assertTrue(dkim.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: record.encode()))
        self.assertIn("DKIM-Signature field added (s=mail2026, d=example.com)", self.log())

    def log(self):
        try:
            with open(self.path("log"), encoding="utf-8") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def run_script(self, script):
        run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120,
                             env={**os.environ, "PATH": "%s:%s:%s:/usr/sbin:/sbin" % (self.path("bin"), self.sbin, os.environ["PATH"])})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr + self.log())
        return run.stdout


if __name__ == "__main__":
    unittest.main()
