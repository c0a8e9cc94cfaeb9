#!/usr/bin/python3
"""SendReports: what a signature that asks for it (r=y) and fails brings its domain, through a real name server and an
MTACommand that keeps what it is given. What the report may hold is in tests/unit/test_reportmail.c."""
import dataclasses
import email
import email.policy
import os
import pwd
import re
import signal
import time

import harness
from postfix import Sink, free_port
from test_verify import OUTSIDE, PLAIN
from test_verify_dns import DnsCase, strings

MTA = """#!/bin/sh
# Keeps its input, its arguments and whether it could gain rights; complete once it has its name.
umask 022
cat > "{box}/$$.tmp"
printf '%s\\n' "$*" > "{box}/$$.arguments"
grep NoNewPrivs /proc/self/status >> "{box}/$$.arguments"
mv "{box}/$$.tmp" "{box}/$$.mail"
{end}
"""


class ReportCase(DnsCase):
    """A name server with the keys of example.com and a reporting record; MTACommand writes into self.box."""
    record_text = "v=DKIM1; ra=dkim-feedback; rr=all"

    def setUp(self):
        super().setUp()
        self.box = self.path("box")
        os.mkdir(self.box)
        os.chmod(self.box, 0o777)
        self.mta = self.write("mta", MTA.format(box=self.box, end="exit 0"), 0o755)

    def zone_text(self, *reporting):
        lines = ["@ NS ns1", "ns1 A 127.0.0.1", f"rsa._domainkey TXT {strings(self.record)}"]
        return "\n".join(lines + [f"_report._domainkey TXT {strings(text)}" for text in reporting]) + "\n"

    def reporting(self, settings=None, records=None, domains=("example.com",), **options):
        zone = self.zone_text(*([self.record_text] if records is None else records))
        server = self.bind("named", {domain: zone for domain in domains})
        return self.resolver(server, {"SendReports": "yes", "MTACommand": self.mta,
                                      "ReportAddress": '"Mail Admin" <postmaster@example.net>', **(settings or {})}, **options)

    def asking(self, domain=b"example.com", raw=PLAIN):
        """Signed, and r=y put in afterwards: which asks for a report and breaks the signature."""
        return self.sign(raw, domain=domain).replace(b"; s=rsa;", b"; r=y; s=rsa;")

    def reports(self, count, timeout=60):
        """Wait for so many. @return [(parsed message, arguments)]"""
        def find():
            names = sorted(name for name in os.listdir(self.box) if name.endswith(".mail"))
            return names if len(names) >= count else None
        names = harness.wait_for(find, timeout, f"{count} reports\n{self.daemons[-1].log()}")
        self.assertEqual(count, len(names), names)
        found = []
        for name in names:
            with open(os.path.join(self.box, name), "rb") as file:
                message = email.message_from_binary_file(file, policy=email.policy.default)
            with open(os.path.join(self.box, name.replace(".mail", ".arguments")), encoding="ascii") as file:
                found.append((message, file.read().splitlines()))
        return found


class Reports(ReportCase):
    def test_a_report(self):
        daemon = self.reporting({"ReportBccAddress": "tom@example.net, hary@example.net"})
        raw = self.asking()
        self.assertTrue(daemon.send(raw, OUTSIDE).accepted)
        (report, arguments), = self.reports(1)
        self.assertEqual(["-t -f<>", "NoNewPrivs:\t0"], arguments)
        self.assertEqual("dkim-feedback@example.com", report["To"])
        self.assertEqual("Mail Admin <postmaster@example.net>", report["From"])
        self.assertEqual("tom@example.net, hary@example.net", report["Bcc"])
        self.assertEqual("auto-generated", report["Auto-Submitted"])
        self.assertEqual("DKIM failure report for 4QxYzA1b2C", report["Subject"])
        self.assertEqual([], report.defects)
        self.assertEqual(("multipart/report", "feedback-report"), (report.get_content_type(), report.get_param("report-type")))
        words, feedback, header = report.get_payload()
        self.assertIn("signature verification failed", words.get_content())
        self.assertEqual("message/feedback-report", feedback.get_content_type())
        fields = feedback.get_payload(0)
        for name, value in (("Feedback-Type", "auth-failure"), ("Version", "1"), ("Auth-Failure", "signature (signature verification failed)"),
                            ("Reported-Domain", "example.com"), ("DKIM-Domain", "example.com"), ("DKIM-Selector", "rsa"),
                            ("DKIM-Identity", "@example.com"), ("Source-IP", "192.0.2.25"), ("Delivery-Result", "delivered"),
                            ("Original-Mail-From", "<sender@example.com>"), ("Original-Envelope-Id", "4QxYzA1b2C"),
                            ("Reporting-MTA", "dns; mail.example.com")):
            self.assertEqual(value, fields[name], name)
        self.assertRegex(fields["User-Agent"], r"\Ahsmdkim/")
        self.assertRegex(fields["Authentication-Results"], r"\Amail\.example\.com; dkim=fail .*header\.d=example\.com")
        self.assertLess(abs(email.utils.parsedate_to_datetime(fields["Arrival-Date"]).timestamp() - time.time()), 600)
        self.assertEqual("text/rfc822-headers", header.get_content_type())
        self.assertEqual(raw.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"\n"), header.get_payload(decode=True).rstrip())
        daemon.expect("4QxYzA1b2C: failure report sent to dkim-feedback@example.com")


    def test_who_gets_none(self):
        """Each of these is followed by one that is reported, so that nothing has to be waited for in vain."""
        domains = ["example.com"] + [f"d{i}.example" for i in range(12)]
        rows = [  # what is sent, envelope
            (self.sign().replace(b"Bob", b"Rob"), {}),  # does not ask
            (self.asking().replace(b"r=y", b"r=n"), {}),
            (self.sign(), {}),  # good
            (self.asking(raw=b"Auto-Submitted: auto-replied\r\n" + PLAIN), {}),
            (self.asking(raw=b"Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n" + PLAIN), {}),
            (self.asking(), {"sender": b"<>"}),
            (self.sign(self.asking()), {}),  # another signature is good
            (self.asking(domain=b"other.example"), {}),  # it has no reporting record
        ]
        daemon = self.reporting(domains=domains, allowed=["key retrieval failed"])
        for number, (raw, envelope) in enumerate(rows):
            self.assertTrue(daemon.send(raw, dataclasses.replace(OUTSIDE, **envelope)).accepted, number)
            self.assertTrue(daemon.send(self.asking(domain=domains[number + 1].encode()), OUTSIDE).accepted)
            found = self.reports(number + 1)
            self.assertEqual({f"dkim-feedback@{domain}" for domain in domains[1:number + 2]},
                             {report["To"] for report, _ in found}, f"row {number}")

    def test_records(self):
        """What the record asks for; the last domain is the one that is reported, and shows that the others were looked at."""
        refused = (["v=DKIM1; ra=a; rr=x"], ["ra=a; rp=0"], ["ra=a", "ra=b"], ["rr=all"], ["ra=a=40example.net"], ["ra=a=0ABcc:b"],
                   ["ra=-oQ/tmp"], ["ra=a; rp=200"], ["ra=" + "a" * 300])
        zones = {f"d{i}.example": self.zone_text(*records) for i, records in enumerate(refused)}
        zones["last.example"] = self.zone_text("v=spf1 -all", "v=DKIM1; ra=a.b+c; rr=d:v; rp=100; rs=Go=20away")
        server = self.bind("named", zones)
        daemon = self.resolver(server, {"SendReports": "yes", "MTACommand": self.mta})
        for domain in zones:
            self.assertTrue(daemon.send(self.asking(domain=domain.encode()), OUTSIDE).accepted)
        (report, _), = self.reports(1)
        self.assertEqual("a.b+c@last.example", report["To"])
        self.assertIsNone(report["Bcc"])
        self.assertRegex(report["From"], r"\A\w+@")

    def test_kinds_of_failure(self):
        """Each kind has its own place in the rate; a second of the same kind has none."""
        zone = self.zone_text(self.record_text) + "revoked._domainkey TXT \"v=DKIM1; p=\"\n"
        daemon = self.resolver(self.bind("named", {"example.com": zone}), {"SendReports": "yes", "MTACommand": self.mta},
                               allowed=["key retrieval failed"])
        body = self.asking().replace(b"Bob", b"Rob")
        rows = (("signature", "signature verification failed", self.asking()),
                ("revoked", "key revoked", self.asking().replace(b"s=rsa;", b"s=revoked;")),
                ("signature", "key not found in DNS", self.asking().replace(b"s=rsa;", b"s=missing;")),
                ("signature", "signature expired", re.sub(rb"t=\d+;", b"t=1; x=2;", self.asking())),
                ("signature", "query method invalid", self.asking().replace(b"q=dns/txt;", b"q=http/get;")))
        for _ in range(2):
            for _, _, raw in rows:
                daemon.send(raw, OUTSIDE)
        daemon.send(body, OUTSIDE)
        found = sorted(report.get_payload()[1].get_payload(0)["Auth-Failure"] for report, _ in self.reports(len(rows)))
        self.assertEqual(sorted(f"{word} ({text})" for word, text, _ in rows), found)

    def test_delivery_results(self):
        for action, word in (("reject", "reject"), ("tempfail", "other"), ("discard", "policy"), ("quarantine", "policy")):
            with self.subTest(action=action):
                before = len(os.listdir(self.box)) // 2
                daemon = self.reporting({"On-BadSignature": action})
                daemon.send(self.asking(), OUTSIDE)
                self.reports(before + 1)
                daemon.stop()
        words = sorted(report.get_payload()[1].get_payload(0)["Delivery-Result"] for report, _ in self.reports(4))
        self.assertEqual(["other", "policy", "policy", "reject"], words)

    def test_hostile_mail(self):
        """Nothing of a message becomes a field, a recipient or a part of the report."""
        bad = (b"Subject: x\r\n --dkimreport\r\n\tBcc: eve@example.org\r\n"
               b"--dkimreport: y\r\n.: z\r\nX-Bytes: \xff\xfe\x01\r\nX-Long: " + b"l" * 3000 + b"\r\n")
        daemon = self.reporting()
        daemon.send(self.asking(raw=bad + PLAIN), dataclasses.replace(
            OUTSIDE, sender=b"<\"a\r\nBcc: b\"@example.com>", queue_id=b"Q\r\nBcc: eve@example.org"))
        (report, _), = self.reports(1)
        self.assertEqual([], report.defects)
        self.assertIsNone(report["Bcc"])
        self.assertEqual(3, len(report.get_payload()))
        header = report.get_payload()[2]
        self.assertEqual("quoted-printable", header["Content-Transfer-Encoding"])
        self.assertIn(b"X-Bytes: \xff\xfe\x01\n", header.get_payload(decode=True))
        self.assertIn(b"X-Long: " + b"l" * 3000 + b"\n", header.get_payload(decode=True))


class Process(ReportCase):
    """The process that sends them, and what holds it back."""

    def reports_pid(self, daemon):
        def find():
            children = harness.children_of(daemon.process.pid)
            daemon.family |= set(children)
            return next((pid for pid, command in children.items() if "hsmdkim-reports" in command[0]), None)
        return harness.wait_for(find, 30, "there is a reports process")

    def composer_pid(self, daemon):
        return harness.wait_for(lambda: next(iter(harness.children_of(self.reports_pid(daemon))), None), 30, "there is a composer")

    def test_it_starts_again(self):
        """Killed, either half: a new one comes, and takes what waits."""
        daemon = self.reporting(domains=("example.com", "two.example"), allowed=["reports process: (composer )?ended with"])
        for find, domain, count in ((self.reports_pid, b"example.com", 1), (self.composer_pid, b"two.example", 2)):
            sender, pid = self.reports_pid(daemon), find(daemon)
            os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: not harness.alive(pid), 20, "it is dead")
            daemon.send(self.asking(domain=domain), OUTSIDE)
            self.reports(count)
            self.assertNotEqual(pid, find(daemon))
        daemon.expect("reports process: ended with signal 9; starts again")
        self.assertEqual(sender, self.reports_pid(daemon))  # the one that counts what is sent
        daemon.expect("reports process: composer ended with signal 9; starts again")

    def test_mail_does_not_wait(self):
        """The process stands still: mail is answered, what finds no room is dropped, with one line."""
        daemon = self.reporting(allowed=["the queue is full"])
        pids = (self.reports_pid(daemon), self.composer_pid(daemon))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        raw = self.asking(raw=b"X-Long: " + b"l" * 20000 + b"\r\n" + PLAIN)
        for _ in range(30):
            self.assertTrue(daemon.send(raw, OUTSIDE).accepted)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        self.reports(1)
        harness.wait_for(lambda: daemon.send(raw, OUTSIDE).accepted and "were dropped" in daemon.log(), 60, "drops are told")
        self.assertEqual(1, daemon.log().count("the queue is full"))
        self.reports(1)

    def test_sandbox(self):
        """The half that reads what is foreign has the milter's sandbox; nobody runs as root."""
        daemon = self.reporting()
        for pid, seccomp in ((self.reports_pid(daemon), "0"), (self.composer_pid(daemon), "2")):
            def status(name, pid=pid):
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    return re.search(rf"^{name}:\s+(.*)$", file.read(), re.M)[1].split()
            harness.wait_for(lambda: status("Seccomp") == [seccomp], 20, "the sandbox")
            if os.geteuid() == 0:
                self.assertEqual({str(pwd.getpwnam(harness.USER).pw_uid)}, set(status("Uid")))

    def test_reload(self):
        daemon = self.reporting({"SendReports": "no"}, domains=("example.com", "two.example"))
        self.assertEqual([], [c for c in harness.children_of(daemon.process.pid).values() if "hsmdkim-reports" in c[0]])
        daemon.send(self.asking(), OUTSIDE)
        daemon.configure(SendReports="yes")
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded")
        self.reports_pid(daemon)
        daemon.send(self.asking(domain=b"two.example"), OUTSIDE)
        (report, _), = self.reports(1)
        self.assertEqual("dkim-feedback@two.example", report["To"])
        daemon.configure(SendReports="no")
        since = daemon.log_mark()
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded", since=since)
        harness.wait_for(lambda: not any("hsmdkim-reports" in c[0] for c in harness.children_of(daemon.process.pid).values()), 20,
                         "it ends")

    def test_smtp(self):
        """SMTPURI: no program is started, and none could gain rights; the recipients of Bcc are nobody's to read."""
        sink = Sink()
        self.addCleanup(sink.close)
        daemon = self.reporting({"SMTPURI": f"smtp://127.0.0.1:{sink.port}", "MTACommand": None,
                                 "ReportBccAddress": 'tom@example.net, "Hary" <hary@example.net>'})
        raw = self.asking()
        self.assertTrue(daemon.send(raw, OUTSIDE).accepted)
        (sender, recipients, mail), = sink.wait(1)
        self.assertEqual((b"", [b"dkim-feedback@example.com", b"tom@example.net", b"hary@example.net"]), (sender, recipients))
        report = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual([], report.defects)
        self.assertIsNone(report["Bcc"])
        self.assertEqual(raw.partition(b"\r\n\r\n")[0], report.get_payload()[2].get_payload(decode=True).replace(b"\r\n", b"\n").rstrip()
                         .replace(b"\n", b"\r\n"))
        daemon.expect("failure report sent to dkim-feedback@example.com")
        with open(f"/proc/{self.reports_pid(daemon)}/status", encoding="ascii") as file:
            self.assertIn("NoNewPrivs:\t1", file.read())

    def test_smtp_that_fails(self):
        port = free_port()
        daemon = self.reporting({"SMTPURI": f"smtp://127.0.0.1:{port}"}, allowed=["SMTPURI"])
        self.assertTrue(daemon.send(self.asking(), OUTSIDE).accepted)
        daemon.expect(r"SMTPURI smtp://127.0.0.1:\d+: .*: Connection refused")
        daemon.configure(SMTPURI="localhost")
        daemon.allowed.append("reload|configuration")
        daemon.signal(signal.SIGHUP)
        daemon.expect('SMTPURI: "localhost" is not of the form smtp://HOST')

    def test_command_that_fails(self):
        refusing = self.write("refusing", MTA.format(box=self.box, end="echo 'queue is\tfull' >&2; exit 75"), 0o755)
        daemon = self.reporting({"MTACommand": refusing}, allowed=["MTACommand"])
        self.assertTrue(daemon.send(self.asking(), OUTSIDE).accepted)
        daemon.expect(r"MTACommand \S+/refusing: ended with status 75: queue is")
        self.assertNotIn("failure report sent", daemon.log())
        daemon.configure(MTACommand=self.path("missing"))
        since = daemon.log_mark()
        daemon.signal(signal.SIGHUP)
        daemon.expect("configuration reloaded", since=since)
        daemon.send(self.asking(), OUTSIDE)
        daemon.expect("MTACommand .*/missing: cannot be started: No such file or directory")


if __name__ == "__main__":
    harness.main()
