"""Signs and verifies the same messages with hsmdkim and its peers, one after the other in rounds, and prints ratios.

Every signer's last message is verified with dkimpy, every verifier must say dkim=pass for each message: what is fast and
wrong does not count; then the exit status is 1. No figure is judged.
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile

import dkim

import filters
import memory
import tables
from filters import load

SIGNERS = [filters.Hsmdkim, filters.HsmdkimToken, filters.OpenDkim, filters.Rspamd, filters.DkimpyMilter, filters.Noop]
VERIFIERS = [filters.HsmdkimVerifier, filters.OpenDkimVerifier]
OUTSIDE = "192.0.2.25"
LETTER = b"From: Joe <joe@example.com>\r\nTo: Suzie <suzie@example.org>\r\nSubject: Is dinner ready?\r\n" \
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <20261124100000.1@example.com>\r\n" \
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
LINE = b"A line of a letter that says nothing, as most letters do at this hour.\r\n"


# Keys and what is checked.
def record(public_key, *options):
    der = subprocess.run(["openssl", "pkey", *options, "-in", public_key, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return b"v=DKIM1; p=" + base64.b64encode(der)


def token_record(signer):
    """The token's key, read by OpenSC."""
    path = os.path.join(signer.dir, "public.der")
    subprocess.run(["pkcs11-tool", "--module", filters.softhsm(), "--token-label", "bench", "--read-object", "--type",
                    "pubkey", "--label", "mail", "-o", path], env=signer.environment(), capture_output=True, check=True)
    return record(path, "-pubin", "-inform", "DER")


def check_output(signer):
    """One signature, by an independent verifier."""
    if isinstance(signer, filters.Noop):
        return True
    saved = os.path.join(signer.dir, "message")
    load(signer, 5000, 1, 1, "--save", saved)
    zone = token_record(signer) if isinstance(signer, filters.HsmdkimToken) else record(signer.key)
    with open(saved, "rb") as f:
        good = dkim.verify(f.read(), dnsfunc=lambda name, timeout=5: zone)
    print(f"   {signer.name:16} signature {'verified by dkimpy' if good else 'WRONG'}")
    return good


def signed_message(directory, key, size):
    """By dkimpy. @return path"""
    message = LETTER + LINE * max(1, (size - len(LETTER)) // len(LINE))
    with open(key, "rb") as f:
        signature = dkim.sign(message, filters.SELECTOR.encode(), filters.DOMAIN.encode(), f.read(),
                              canonicalize=(b"relaxed", b"relaxed"))
    path = os.path.join(directory, f"signed-{size}")
    with open(path, "wb") as f:
        f.write(signature + message)
    return path


# Figures.
def table(rows, reference):
    head = f"{'':16}{'messages/s':>12}{'ratio':>8}{'CPU us':>9}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'RSS MiB':>9}"
    lines = [head, "-" * len(head)]
    base = rows[reference]
    for name, r in rows.items():
        lines.append(f"{name:16}{r['per_second']:12.0f}{r['per_second'] / base['per_second']:8.2f}"
                     f"{r['cpu_us_message']:9.0f}{r['cpu_us_message'] / max(1, base['cpu_us_message']):8.2f}"
                     f"{r['p50_ms']:9.2f}{r['p99_ms']:9.2f}{r['rss_mib']:9.1f}")
    return "\n".join(lines)


def measure(peers, rounds, size, connections, messages, *more):
    """Rounds over all peers in turn, so that a noisy minute hits all of them."""
    samples = {s.name: [] for s in peers}
    for s in peers:
        load(s, size, connections, max(1, messages // 10), *more)
    for _ in range(rounds):
        for s in peers:
            samples[s.name].append(load(s, size, connections, messages, *more))
    return {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]} for name, runs in samples.items()}


def signature_cost():
    """CPU us of one RSA-2048 signature with OpenSSL in process."""
    out = subprocess.run([os.path.join(filters.BIN, "microbench"), "1"], capture_output=True, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])["rsa2048_sign_us"]


def above_ceiling(rows):
    """What hsmdkim adds to a libmilter filter that does nothing and to the signature itself."""
    if "noop" not in rows or "hsmdkim" not in rows:
        return
    one = signature_cost()
    above = rows["hsmdkim"]["cpu_us_message"] - rows["noop"]["cpu_us_message"] - one
    print(f"\nhsmdkim's CPU a message above noop + one RSA signature ({one:.0f} us): {above:.0f} us")


class Bench:
    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.key = os.path.join(directory, "key.pem")
        self.running, self.good = [], True
        self.sizes, self.counts, self.rounds = ([5000], [8], 1) if args.short else \
            (args.sizes, args.connections, args.rounds)
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, capture_output=True)
        os.chmod(self.key, 0o644)

    def start(self, kinds, key):
        for kind in kinds:
            if self.args.only and kind.name not in self.args.only.split(","):
                continue
            if not os.path.exists(kind.program):
                print(f"   {kind.name}: not installed, left out")
                continue
            self.running.append(kind(self.directory, key))
            self.running[-1].start()

    def stop(self):
        for peer in self.running:
            peer.stop()
        self.running = []

    def cases(self, what, more):
        """@param more: of the size, what milterload needs besides"""
        names = [s.name for s in self.running]
        reference = "opendkim" if "opendkim" in names else names[0]
        for size in self.sizes:
            for connections in self.counts:
                messages = max(3, (100 if self.args.short else 400) // connections // max(1, size // 50000))
                rows = measure(self.running, self.rounds, size, connections, messages, *more(size))
                print(f"\n{what}, {size} bytes, {connections} connections (medians of {self.rounds} rounds; "
                      f"ratios to {reference})\n")
                print(table(rows, reference), flush=True)
                if what == "sign" and size == 5000:
                    above_ceiling(rows)

    def sign(self):
        self.start(SIGNERS, self.key)
        if self.running:
            for signer in self.running:
                self.good = check_output(signer) and self.good
            self.cases("sign", lambda size: [])
        self.stop()

    def verify(self):
        records = os.path.join(self.directory, "records")
        with open(records, "w", encoding="ascii") as f:
            f.write(f"{filters.SELECTOR}._domainkey.{filters.DOMAIN} {record(self.key).decode()}\n")
        self.start(VERIFIERS, records)
        if self.running:
            self.cases("verify", lambda size: ["--client", OUTSIDE, "--file",
                                               signed_message(self.directory, self.key, size)])
        self.stop()


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part in ("sign", "verify", "memory", "tables"):
        parser.add_argument("--" + part, action="store_true", help="this part; without any: all (--short: the first two)")
    parser.add_argument("--short", action="store_true", help="one small case of each part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=numbers, default=[5000, 70000, 1000000], help="bytes of a body, with commas")
    parser.add_argument("--connections", type=numbers, default=[1, 8, 64], help="with commas")
    parser.add_argument("--only", help="comma list of filters")
    parser.add_argument("--body", type=int, default=10**9, help="bytes of --memory's large body")
    args = parser.parse_args()
    every = not (args.sign or args.verify or args.memory or args.tables)
    with tempfile.TemporaryDirectory(prefix="hsmdkim-bench-") as directory:
        os.chmod(directory, 0o755)
        bench = Bench(args, directory)
        try:
            if args.sign or every:
                bench.sign()
            if args.verify or every:
                bench.verify()
            if args.memory or (every and not args.short):
                bench.good = memory.run(directory, bench.key, args) and bench.good
            if args.tables or (every and not args.short):
                bench.good = tables.run(directory, bench.key, args) and bench.good
        finally:
            bench.stop()
    return 0 if bench.good else 1


if __name__ == "__main__":
    sys.exit(main())
