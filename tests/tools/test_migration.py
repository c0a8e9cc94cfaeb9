"""docs/MIGRATION.md, executed: OpenDKIM and Postfix are at work, every command of the page is run, mail is sent without a pause, and each message
is taken at once and leaves with a signature that verifies."""
import os
import re
import subprocess
import sys
import threading
import unittest

import dkim

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
import postfix  # noqa: E402
from common import BIN, SRCDIR  # noqa: E402
from nameserver import Bind, find_program  # noqa: E402

SYSTEMCTL = """\
case $1 in
daemon-reload) exit 0 ;;
enable) [ "$2" = --now ] && set -- start "$3" ;;
disable) [ "$2" = --now ] && set -- stop "$3" ;;
esac
case $2 in
hsmdkim) program="{bin}/hsmdkim -f -x {root}/etc/hsmdkim.conf" port={ours} ;;
opendkim) program="{opendkim} -f -x {root}/etc/opendkim.conf" port={theirs} ;;
*) exit 1 ;;
esac
pid={dir}/$2.started
case $1 in
start)
	SOFTHSM2_CONF={root}/etc/hsmdkim/softhsm2.conf $program >>{dir}/$2.log 2>&1 </dev/null &
	echo $! >"$pid"
	for i in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && exit 0; sleep 0.1; done
	exit 1 ;;
stop)
	number=$(cat "$pid")
	rm "$pid"
	kill "$number"
	for i in $(seq 600); do kill -0 "$number" 2>/dev/null || exit 0; sleep 0.1; done
	exit 1 ;;
reload)
	before=$(grep -c 'configuration reloaded' {dir}/$2.log)
	kill -HUP "$(cat "$pid")"
	for i in $(seq 600); do [ "$(grep -c 'configuration reloaded' {dir}/$2.log)" -gt "$before" ] && exit 0; sleep 0.1; done
	exit 1 ;;
esac
"""


class Sender(threading.Thread):
    """Sends one message after the other until it is told to stop."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.ended = threading.Event()
        self.sent = 0
        self.errors = []

    def run(self):
        while not self.ended.is_set():
            number = str(self.sent).encode()
            error = self.server.smtp(harness.MESSAGE.replace(b"<1@example.com>", b"<%s@flow.example.com>" % number))
            self.sent += 1
            if error is not None:
                self.errors.append(str(error))
            self.ended.wait(0.05)

    def flow(self, count=3):
        """Wait until so many more messages were taken."""
        target = self.sent + count
        harness.wait_for(lambda: self.sent >= target or self.errors, 120, "mail flows")


@unittest.skipUnless(os.geteuid() == 0, "Postfix and users need root")
class Migration(harness.Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.ours, self.theirs = postfix.free_port(), postfix.free_port()
        self.opendkim = find_program("opendkim")
        for name in ("root/etc/opendkim", "root/etc/dkimkeys", "root/var/lib", "root/run/hsmdkim", "bin", "postfix"):
            os.makedirs(self.path(*name.split("/")))
        self.as_found()
        self.server = Bind(self.path("named"), {"example.com": f"@ NS ns1\nns1 A 127.0.0.1\nmail2025._domainkey TXT {self.zone_text()}\n"})
        self.addCleanup(self.server.stop)
        self.sink = postfix.Sink()
        self.addCleanup(self.sink.close)
        self.postfix = postfix.Postfix(self.path("postfix"), f"inet:127.0.0.1:{self.theirs}", self.sink.port)
        self.shims()
        for name in ("hsmdkim", "opendkim"):
            self.addCleanup(self.stop_daemon, name)
        self.run_script("systemctl start opendkim")
        self.addCleanup(self.postfix.stop)
        self.postfix.start()

    def zone_text(self):
        return " ".join(f'"{self.record[i:i + 200]}"' for i in range(0, len(self.record), 200))

    def as_found(self):
        """What a host with OpenDKIM has."""
        self.record = harness.make_key_file(self.path("root/etc/dkimkeys/mail2025.private"))
        if isinstance(self.record, bytes):
            self.record = self.record.decode()
        self.write("root/etc/opendkim/KeyTable", f"mail example.com:mail2025:{self.path('root')}/etc/dkimkeys/mail2025.private\n")
        self.write("root/etc/opendkim/SigningTable", "*@example.com mail\n")
        self.write("root/etc/opendkim/TrustedHosts", "127.0.0.1\n::1\nlocalhost\n")
        etc = self.path("root") + "/etc/opendkim"
        self.write("root/etc/opendkim.conf",
                   "Syslog no\nSyslogSuccess yes\nLogWhy yes\nMode s\nCanonicalization relaxed/simple\nUMask 002\n"
                   f"UserID {harness.USER}\nSocket inet:{self.theirs}@localhost\nPidFile {self.directory}/opendkim.own.pid\n"
                   f"OversignHeaders From\nKeyTable {etc}/KeyTable\nSigningTable refile:{etc}/SigningTable\n"
                   f"InternalHosts refile:{etc}/TrustedHosts\nExternalIgnoreList refile:{etc}/TrustedHosts\n"
                   "RequireSafeKeys no\nAutoRestart yes\nAutoRestartRate 10/1h\n")  # it objects to /tmp
        subprocess.run(["chown", "-R", harness.USER, self.path("root/etc/dkimkeys"), self.path("root/etc/opendkim")], check=True)
        for name in ("KeyTable", "SigningTable", "TrustedHosts"):
            os.chmod(self.path("root/etc/opendkim", name), 0o644)

    def shims(self):
        ask = f"--nameserver {self.server.at()}"
        for name, text in (
                ("systemctl", SYSTEMCTL.format(bin=BIN, root=self.path("root"), dir=self.directory, ours=self.ours, theirs=self.theirs,
                                               opendkim=self.opendkim)),
                ("postconf", f'exec /usr/sbin/postconf -c {self.postfix.conf} "$@"'),
                ("postfix", f'exec /usr/sbin/postfix -c {self.postfix.conf} "$@"'),
                ("hsmdkim-testkey", f'exec {BIN}/hsmdkim-testkey {ask} --port {self.server.port} "$@"'),
                ("hsmdkim-testmsg", f'exec {BIN}/hsmdkim-testmsg {ask} "$@"')):
            self.write("bin/" + name, "#!/bin/bash\n" + text + "\n", mode=0o755)

    def stop_daemon(self, name):
        if os.path.exists(self.path(name + ".started")):
            self.run_script("systemctl stop " + name)

    def run_script(self, script):
        run = subprocess.run(["bash", "-c", "set -euxo pipefail\n" + script], capture_output=True, text=True, timeout=180,
                             env={**os.environ, "PATH": f"{self.path('bin')}:{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr + self.logs())
        return run.stdout

    def logs(self):
        text = ""
        for name in ("opendkim.log", "hsmdkim.log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as file:
                    text += f"--- {name}\n{file.read()[-4000:]}"
        return text

    def sections(self):
        """The ```sh blocks of each section, their paths below our root."""
        with open(os.path.join(SRCDIR, "docs/MIGRATION.md"), encoding="utf-8") as page:
            text = page.read()
        for path in ("/run/hsmdkim", "/etc/systemd", "/etc/hsmdkim", "/etc/opendkim", "/etc/dkimkeys", "/var/lib/hsmdkim-token"):
            text = text.replace(path, self.path("root") + path)
        text = text.replace("8891", str(self.theirs)).replace("8892", str(self.ours)).replace(
            "localhost:", "127.0.0.1:")
        parts = ["".join(re.findall(r"^```sh\n(.*?)^```$", part, re.M | re.S)) for part in re.split(r"^## ", text, flags=re.M)[1:]]
        self.assertEqual(7, len(parts))
        self.assertTrue(all(parts))
        return parts

    def assert_all_signed(self, sent):
        keys = {b"mail2025._domainkey.example.com.": self.record.encode()}
        messages = self.sink.wait(sent)
        for _, _, raw in messages:
            self.assertEqual(1, raw.count(b"DKIM-Signature:"))
            self.assertTrue(dkim.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: keys.get(name)), raw.decode(errors="replace"))

    def test_there_and_back_while_mail_flows(self):
        report, beside, over, token, keys, end, back = self.sections()
        environment = "export SOFTHSM2_CONF=%s\n" % self.path("root/etc/hsmdkim/softhsm2.conf")
        sender = Sender(self.postfix)
        sender.start()
        self.addCleanup(sender.ended.set)
        sender.flow()
        out = self.run_script(report)
        self.assertIn("--import '%s/etc/dkimkeys/mail2025.private'" % self.path("root"), out)
        self.run_script(beside)
        sender.flow()
        self.run_script(over)
        sender.flow(10)
        self.run_script(token)
        self.assertIn("key OK", self.run_script(environment + keys))
        sender.flow(10)
        self.run_script(end)
        sender.flow()
        with open(self.path("hsmdkim.log"), encoding="utf-8") as log:
            self.assertRegex(log.read(), r"DKIM-Signature field added \(s=mail2025, d=example\.com\)")
        self.run_script(back)
        sender.flow(10)
        sender.ended.set()
        sender.join(120)
        self.assertEqual([], sender.errors, self.logs())
        self.assert_all_signed(sender.sent)


if __name__ == "__main__":
    unittest.main()
