#!/usr/bin/python3
"""Failure reports of OpenDKIM and hsmdkim side by side: which messages bring one, to whom, and where the two differ (the rows "SendReports"
of docs/OPENDKIM.md)."""
import email
import email.policy
import os
import re
import shutil
import tempfile
import unittest

import twins

from messages import milterclient

import dkim

harness = twins.harness
OUTSIDE = milterclient.Envelope(host=b"mx.example.org", address="192.0.2.25")
MTA = """#!/bin/sh
umask 022
cat > "{box}/$$.tmp"
printf '%s\\n' "$*" > "{box}/$$.arguments"
mv "{box}/$$.tmp" "{box}/$$.mail"
"""
# Fields of the third part's message and of the report that only one of them writes, or writes otherwise: docs/OPENDKIM.md.
ONLY_THEIRS = {"DKIM-Failure", "DKIM-Canonicalized-Header", "DKIM-Canonicalized-Body", "Message-ID"}
ONLY_OURS = {"Authentication-Results"}
DIFFERENT = {"User-Agent", "Version", "Reporting-MTA", "Arrival-Date", "Delivery-Result", "Original-Mail-From"}


class Reports(unittest.TestCase):
    domains = ("example.com", "none.example", "zero.example", "two.example")

    def setUp(self):
        self.assertTrue(shutil.which("opendkim", path=os.environ["PATH"] + ":/usr/sbin") or os.environ.get("REQUIRE_ALL") != "1")
        if not shutil.which("opendkim", path=os.environ["PATH"] + ":/usr/sbin"):
            self.skipTest("opendkim is not installed")
        self.directory = tempfile.mkdtemp(prefix="hsmdkim-reports-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        self.key = os.path.join(self.directory, "key.pem")
        record = harness.make_key_file(self.key, owner="root")
        zone = {f"sel._domainkey.{domain}": record for domain in self.domains}
        zone.update({"_report._domainkey.example.com": "v=DKIM1; ra=dkim-reports", "_report._domainkey.zero.example": "rp=100",
                     "_report._domainkey.two.example": "ra=reports=40elsewhere.example"})
        self.zone = os.path.join(self.directory, "zone")
        with open(self.zone, "w", encoding="ascii") as file:
            file.writelines(f"{name} {text}\n" for name, text in zone.items())
        os.chmod(self.zone, 0o644)

    def start(self, program):
        box = os.path.join(self.directory, program + "-box")
        home = os.path.join(self.directory, program)
        for folder in (box, home):
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        mta = os.path.join(home, "mta")
        with open(mta, "w", encoding="ascii") as file:
            file.write(MTA.format(box=box))
        os.chmod(mta, 0o755)
        text = (f"Mode v\nSyslog yes\nLogWhy yes\nTestPublicKeys {self.zone}\nSendReports yes\nMTACommand {mta}\n"
                'ReportAddress "Mail Admin" <postmaster@example.org>\nReportBccAddress tom@example.net, "hary" <hary@example.net>\n'
                + (f"TestDNSData file:{self.zone}\n" if program == twins.OPENDKIM else "")
                + (f"UserID {harness.USER}\n" if os.geteuid() == 0 else ""))
        twin = twins.Twin(home, program, text).start()
        self.addCleanup(twin.halt)
        return twin, box

    def signed(self, domain="example.com", ask=True):
        """A signature that was changed afterwards, with r=y or without."""
        with open(self.key, "rb") as file:
            signature = dkim.sign(harness.MESSAGE, b"sel", domain.encode(), file.read(), canonicalize=(b"relaxed", b"relaxed"))
        return signature.replace(b"; s=sel;", b"; r=y; s=sel;" if ask else b"; n=y; s=sel;") + harness.MESSAGE

    @staticmethod
    def read(box):
        found = []
        for name in sorted(os.listdir(box)):
            if name.endswith(".mail"):
                with open(os.path.join(box, name), "rb") as file:
                    message = email.message_from_binary_file(file, policy=email.policy.default)
                with open(os.path.join(box, name.replace(".mail", ".arguments")), encoding="ascii") as file:
                    found.append((message, file.read().strip()))
        return found

    def reports(self, twin, box, messages):
        """Send them all, and one that is reported at the end: then those before it were looked at."""
        for message in (*messages, self.signed()):
            self.assertTrue(twin.send(message, OUTSIDE).accepted)
        harness.wait_for(lambda: self.read(box), 60, f"reports of {twin.kind}\n{twin.log()}")
        return self.read(box)

    def test_the_same_failures_and_recipients(self):
        """Not asked for, no record, a record without ra=: neither reports them. Then one each."""
        messages = [self.signed(ask=False), self.signed("none.example"), self.signed("zero.example")]
        seen = {}
        for program in twins.NAMES:
            twin, box = self.start(program)
            (report, arguments), = self.reports(twin, box, messages)
            seen[program] = report
            self.assertEqual({twins.OPENDKIM: "-t -fpostmaster@example.org", twins.HSMDKIM: "-t -f<>"}[program], arguments)
        theirs, ours = seen[twins.OPENDKIM], seen[twins.HSMDKIM]
        for name in ("From", "To", "Bcc", "Subject", "MIME-Version"):
            self.assertEqual(theirs[name], ours[name], name)
        self.assertEqual([part.get_content_type() for part in theirs.walk()], [part.get_content_type() for part in ours.walk()])
        self.assertEqual(theirs.get_param("report-type"), ours.get_param("report-type"))

    def test_the_same_fields(self):
        fields, headers = {}, {}
        raw = self.signed()
        for program in twins.NAMES:
            twin, box = self.start(program)
            twin.send(raw, OUTSIDE)
            harness.wait_for(lambda: self.read(box), 60, f"a report of {program}\n{twin.log()}")
            (report, _), = self.read(box)
            _, feedback, header = report.get_payload()
            fields[program] = dict(feedback.get_payload(0).items())
            headers[program] = re.sub(r":\s*", ":", header.get_payload().strip())
        theirs, ours = fields[twins.OPENDKIM], fields[twins.HSMDKIM]
        self.assertEqual(ONLY_THEIRS, set(theirs) - set(ours))
        self.assertEqual(ONLY_OURS, set(ours) - set(theirs))
        self.assertEqual({name: theirs[name] for name in set(theirs) & set(ours) - DIFFERENT},
                         {name: ours[name] for name in set(theirs) & set(ours) - DIFFERENT})
        for name in DIFFERENT:
            self.assertIn(name, ours)
        self.assertEqual(headers[twins.OPENDKIM], headers[twins.HSMDKIM])

    def test_mailbox_elsewhere(self):
        """OpenDKIM cuts at the "@"; here there is no report."""
        twin, box = self.start(twins.OPENDKIM)
        twin.send(self.signed("two.example"), OUTSIDE)
        harness.wait_for(lambda: self.read(box), 60, f"a report of OpenDKIM\n{twin.log()}")
        self.assertEqual(["reports@two.example"], [report["To"] for report, _ in self.read(box)])
        twin, box = self.start(twins.HSMDKIM)
        found = self.reports(twin, box, [self.signed("two.example")])
        self.assertEqual(["dkim-reports@example.com"], [report["To"] for report, _ in found])


if __name__ == "__main__":
    harness.main()
