#!/usr/bin/python3
"""Verifying with keys from a real name server on 127.0.0.x: signed and bogus zones, failures, truncated answers, CNAME
chains and loops, answers without end, and servers that never answer."""
import os
import re
import socket
import threading
import time

import harness
import milterclient
import test_verify
from nameserver import Bind, Knot, find_program, free_port

OUTSIDE = test_verify.OUTSIDE
SILENT_MESSAGES = int(os.environ.get("SILENT_MESSAGES", "1000"))


def strings(text):
    return " ".join('"%s"' % text[i:i + 200] for i in range(0, len(text), 200))


class DnsCase(test_verify.VerifyCase):
    def setUp(self):
        super().setUp()
        self.record = self.zone["rsa._domainkey.example.com"]

    def resolver(self, server, settings=None, **options):
        options.setdefault("allowed", ["key retrieval failed"])
        return self.daemon({"Mode": "v", "Nameservers": f"{server.address}@{server.port}", "DNSTimeout": "5",
                            "On-DNSError": "accept", "On-KeyNotFound": "accept", **(settings or {})}, **options)

    def bind(self, name, zones, **options):
        server = Bind(self.path(name), zones, **options)
        self.addCleanup(server.stop)
        return server

    def of(self, selector=None, domain=b"example.com"):
        """A message whose key has this name: another selector breaks the signature, but first the key is asked for."""
        raw = self.sign(domain=domain)
        return raw.replace(b"s=rsa;", b"s=%s;" % selector) if selector else raw


class Answers(DnsCase):
    def test_what_names_bring(self):
        """One message a row; the signature of a row other than rsa cannot be good, but a key was found when it says so."""
        half = len(self.record) // 2
        long_record = self.record.replace("v=DKIM1;", "v=DKIM1; n=%s;" % ("x" * 3000))  # 3 KB: truncated over UDP
        zone = "\n".join([
            "@ NS ns1", "ns1 A 127.0.0.1", f"rsa._domainkey TXT {strings(self.record)}",
            f'split._domainkey TXT "{self.record[:half // 2]}" "{self.record[half // 2:half]}" "{self.record[half:]}"',
            f"alias._domainkey CNAME one", "one CNAME two", "two CNAME three", f"three TXT {strings(self.record)}",
            "loop._domainkey CNAME round", "round CNAME loop._domainkey", "nowhere._domainkey CNAME missing",
            f"tcp._domainkey TXT {strings(long_record)}",
            f'with-spf._domainkey TXT "v=spf1 -all"', f"with-spf._domainkey TXT {strings(self.record)}",
            f"two._domainkey TXT {strings(self.record)}", f"two._domainkey TXT {strings(self.zone['ed._domainkey.example.com'])}",
            "empty._domainkey HINFO a b", f"many._domainkey TXT {strings(self.record)}",
            f"long._domainkey TXT {strings('v=DKIM1; n=' + 'x' * 17000)}",
        ] + [f'many._domainkey TXT "site-verification={i}"' for i in range(70)
        ] + [f"huge._domainkey TXT {strings('v=DKIM1; n=%d; ' % i + 'x' * 900)}" for i in range(60)]) + "\n"
        server = self.bind("named", {"example.com": zone, "broken.example": "this is no zone\n"}, strict=False,
                           options="recursion no; max-udp-size 512; edns-udp-size 512;")
        daemon = self.resolver(server)
        rows = [  # selector, domain, what the field says
            (None, b"example.com", "dkim=pass (2048-bit key)"),
            (b"split", b"example.com", 'dkim=fail reason="signature verification failed" (2048-bit key)'),
            (b"alias", b"example.com", 'dkim=fail reason="signature verification failed" (2048-bit key)'),
            (b"tcp", b"example.com", 'dkim=fail reason="signature verification failed" (2048-bit key)'),
            (b"with-spf", b"example.com", 'dkim=fail reason="signature verification failed" (2048-bit key)'),
            (b"two", b"example.com", 'dkim=permerror reason="multiple keys found"'),
            (b"huge", b"example.com", "dkim=(temperror|permerror) reason="),
            (b"many", b"example.com", 'dkim=permerror reason="key records too many or too long"'),
            (b"long", b"example.com", 'dkim=permerror reason="key records too many or too long"'),
            (b"loop", b"example.com", 'dkim=(temperror|permerror) reason="key '),
            (b"nowhere", b"example.com", 'dkim=permerror reason="key not found in DNS"'),
            (b"empty", b"example.com", 'dkim=permerror reason="key not found in DNS"'),
            (b"missing", b"example.com", 'dkim=permerror reason="key not found in DNS"'),
            (None, b"broken.example", 'dkim=temperror reason="key DNS query failed"'),  # SERVFAIL
            (None, b"elsewhere.example", 'dkim=temperror reason="key DNS query failed"'),  # REFUSED
        ]
        for selector, domain, wanted in rows:
            with self.subTest(selector=selector, domain=domain):
                result = self.results(daemon, self.of(selector, domain))
                self.assertRegex(result[0], r"\Amail\.example\.com; " + wanted.replace("(2048-bit key)", r"\(2048-bit key\)"))
        strict = self.resolver(server, {"On-BadSignature": "reject", "On-DNSError": "tempfail"})
        for selector in (b"many", b"long"):  # nothing that a later attempt could mend
            self.assertTrue(strict.send(self.of(selector), OUTSIDE).permanent, selector)

    def test_on_dns_error(self):
        server = self.bind("named", {"example.com": "@ NS ns1\nns1 A 127.0.0.1\n"})
        elsewhere = self.of(domain=b"elsewhere.example")
        for action, wanted in ((None, "451 4.7.5"), ("reject", "550 5.7.0"), ("tempfail", "451 4.7.5")):
            daemon = self.resolver(server, {"On-DNSError": action, "On-KeyNotFound": None})
            outcome = daemon.send(elsewhere, OUTSIDE)
            self.assertTrue(outcome.reply.decode().startswith(wanted), outcome.reply)
            self.assertTrue(daemon.send(self.of(), OUTSIDE).accepted)  # not found: accepted by default
            daemon.stop()

    def test_the_cache_is_used(self):
        """A second message with the same key asks nothing, also after the server is gone."""
        server = Bind(self.path("named"), {"example.com": f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"})
        try:
            daemon = self.resolver(server)
            self.assertIn("dkim=pass", self.results(daemon, self.of())[0])
        finally:
            server.stop()
        self.assertIn("dkim=pass", self.results(daemon, self.of())[0])

    def test_internationalised_domain(self):
        record = f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"
        server = self.bind("named", {"xn--bcher-kva.example": record})
        raw = self.sign(domain=b"xn--bcher-kva.example")
        self.assertIn("dkim=pass", self.results(self.resolver(server), raw)[0])

    def test_resolver_configuration(self):
        server = self.bind("named", {"example.com": f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"})
        hints = self.write("hints", ". 3600000 NS a.root.example.\na.root.example. 3600000 A 127.0.0.1\n", 0o644)
        conf = self.write("unbound.conf", f"server:\n do-not-query-localhost: no\n root-hints: {hints}\nforward-zone:\n name: \".\"\n"
                          f" forward-addr: {server.address}@{server.port}\n", 0o644)
        daemon = self.resolver(server, {"Nameservers": None, "ResolverConfiguration": conf})
        self.assertIn("dkim=pass", self.results(daemon, self.of())[0])


class HostResolver(DnsCase):
    """Without a setting the host's own resolv.conf is followed; here in a mount namespace of the test."""

    def test_resolv_conf(self):
        harness.need(self, os.geteuid() == 0, "root, for a mount namespace")
        address = "127.0.0.77"
        harness.need(self, self.port_53_is_free(address), f"port 53 of {address}")
        server = Knot(self.path("knot"), {"example.com": f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"},
                      address=address, port=53)  # BIND listens on addresses of interfaces only
        self.addCleanup(server.stop)
        conf = self.write("resolv.conf", f"nameserver {address}\n", 0o644)
        wrapper = self.write("run", f"#!/bin/sh\nmount --bind {conf} /etc/resolv.conf || exit 1\n"
                             f"exec {os.path.join(harness.BIN, 'hsmdkim')} \"$@\"\n", 0o755)
        daemon = self.daemon({"Mode": "v"}, start=False)
        daemon.program = self.write("program", f"#!/bin/sh\nexec unshare --mount --propagation private {wrapper} \"$@\"\n", 0o755)
        daemon.start()
        self.assertIn("dkim=pass", self.results(daemon, self.of())[0])

    @staticmethod
    def port_53_is_free(address):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((address, 53))
        except OSError:
            return False
        return True


class Signed(DnsCase):
    """A zone signed with DNSSEC, its key as TrustAnchorFile."""

    def signed_zone(self):
        folder = self.path("signing")
        os.mkdir(folder)
        plain = ("$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 0\n@ NS ns1\nns1 A 127.0.0.1\n"
                 f"rsa._domainkey TXT {strings(self.record)}\n")
        key = harness.run([find_program("dnssec-keygen"), "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", folder,
                           "example.com"]).decode().strip()
        with open(os.path.join(folder, key + ".key"), encoding="ascii") as file:
            dnskey = [line for line in file if not line.startswith(";")][0]
        with open(os.path.join(folder, "plain"), "w", encoding="ascii") as file:
            file.write(plain + dnskey)
        harness.run([find_program("dnssec-signzone"), "-S", "-z", "-K", folder, "-o", "example.com", "-f",
                     os.path.join(folder, "signed"), os.path.join(folder, "plain")], cwd=folder)
        with open(os.path.join(folder, "signed"), encoding="ascii") as file:
            return file.read(), self.write("anchor", dnskey, 0o644)

    def test_states(self):
        signed, anchor = self.signed_zone()
        insecure = f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"
        wrong = re.sub(r'"v=DKIM1; k=rsa;', '"v=DKIM1;  k=rsa;', signed, count=1)
        self.assertNotEqual(wrong, signed)
        for name, zone, settings, wanted in (
                ("secure", signed, {}, r"dkim=pass \(2048-bit key; secure\)"),
                ("secure", signed, {"UnprotectedKey": "fail"}, r"dkim=pass \(2048-bit key; secure\)"),
                ("bogus", wrong, {}, r'dkim=policy reason="key bogus by DNSSEC" \(2048-bit key; bogus\)'),
                ("bogus", wrong, {"BogusKey": "neutral"}, r'dkim=neutral reason="key bogus by DNSSEC"'),
                ("bogus", wrong, {"BogusKey": "none"}, r"dkim=pass \(2048-bit key; bogus\)")):
            with self.subTest(zone=name, settings=settings):
                server = Bind(self.path(f"named-{time.monotonic_ns()}"), {"example.com": zone, "insecure.example": insecure})
                try:
                    daemon = self.resolver(server, {"TrustAnchorFile": anchor, **settings})
                    self.assertRegex(self.results(daemon, self.of())[0], wanted)
                    result = self.results(daemon, self.of(domain=b"insecure.example"))[0]
                    unprotected = settings.get("UnprotectedKey") == "fail"
                    self.assertIn("unprotected)", result)
                    self.assertIn("dkim=policy" if unprotected else "dkim=pass", result)
                    daemon.stop()
                finally:
                    server.stop()


class Silence:
    """A name server that takes questions and never answers, over UDP and TCP."""

    def __init__(self):
        self.address, self.port = "127.0.0.1", free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, self.port))
        self.tcp = socket.socket()
        self.tcp.bind((self.address, self.port))
        self.tcp.listen(50)

    def close(self):
        self.udp.close()
        self.tcp.close()


class Silent(DnsCase):
    def state(self, daemon):
        pid = daemon.milter_pid()
        return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))

    def test_deadline_is_kept_and_nothing_is_left(self):
        """1,000 messages with keys of 1,000 names that nobody answers for, 50 at a time."""
        server = Silence()
        self.addCleanup(server.close)
        daemon = self.resolver(server, {"DNSTimeout": "1", "On-DNSError": "tempfail"})
        raw = self.sign()
        milterclient.send(daemon.socket, milterclient.Message.parse(raw), OUTSIDE)
        threads_before, descriptors_before = self.state(daemon)
        numbers, lock, wrong = iter(range(SILENT_MESSAGES)), threading.Lock(), []

        def client():
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                message = milterclient.Message.parse(raw.replace(b"s=rsa;", b"s=n%d;" % number))
                outcome = milterclient.send(daemon.socket, message, OUTSIDE, timeout=60)
                if not outcome.temporary or b"DKIM key retrieval failed" not in outcome.reply or outcome.seconds > 20:
                    wrong.append(outcome)

        clients = [threading.Thread(target=client) for _ in range(50)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        self.assertEqual([], wrong)
        # libmilter keeps some of its workers; what must not be there is a thread or a socket for each message.
        def settled():
            threads, descriptors = self.state(daemon)
            return threads <= threads_before + 60 and descriptors <= descriptors_before + 20
        harness.wait_for(settled, 60, f"threads and descriptors are as before: {threads_before, descriptors_before}")

    def test_after_silence_it_answers_again(self):
        server = Silence()
        daemon = self.resolver(server, {"DNSTimeout": "1", "On-DNSError": "tempfail"})
        self.assertTrue(daemon.send(self.of(), OUTSIDE).temporary)
        server.close()
        real = self.bind("named", {"example.com": f"@ NS ns1\nns1 A 127.0.0.1\nrsa._domainkey TXT {strings(self.record)}\n"},
                         port=server.port)
        self.assertEqual(server.port, real.port)
        harness.wait_for(lambda: daemon.send(self.of(), OUTSIDE).accepted, 60, "the key is found again")


if __name__ == "__main__":
    harness.main()
