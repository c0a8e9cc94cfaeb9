#!/usr/bin/python3
"""SendReports: what a signature that asks for it (r=y) and fails brings its domain, through a real name server and an
MTACommand that keeps what it is given. What the report may hold is in tests/unit/test_reportmail.c."""
import email
import email.policy
import os
import time

import harness
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
        outcome = daemon.send(self.asking(), OUTSIDE)
        self.assertTrue(outcome.accepted)
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
                            ("Original-Mail-From", "sender@example.com"), ("Original-Envelope-Id", "4QxYzA1b2C"),
                            ("Reporting-MTA", "dns; mail.example.com")):
            self.assertEqual(value, fields[name], name)
        self.assertRegex(fields["User-Agent"], r"\Ahsmdkim/")
        self.assertRegex(fields["Authentication-Results"], r"\Amail\.example\.com; dkim=fail .*header\.d=example\.com")
        self.assertLess(abs(email.utils.parsedate_to_datetime(fields["Arrival-Date"]).timestamp() - time.time()), 600)
        self.assertEqual("text/rfc822-headers", header.get_content_type())
        self.assertEqual(self.asking().partition(b"\r\n\r\n")[0].replace(b"\r\n", b"\n"), header.get_payload(decode=True).rstrip())
        daemon.expect("4QxYzA1b2C: failure report sent to dkim-feedback@example.com")


if __name__ == "__main__":
    harness.main()
