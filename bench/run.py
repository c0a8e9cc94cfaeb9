"""Signs and verifies the same messages with hsmdkim and its peers, one after the other in rounds, and prints ratios.

Every signer's last message is verified with dkimpy, every verifier must say dkim=pass for each message: what is fast and
wrong does not count; then the exit status is 1. No figure is judged, but the last table says which targets were reached.

Each part is kept as a file in --results; what is there already, of the same programs and with the same options, is not
measured again without --again. At the end all that was so measured is printed as Markdown, and put into docs/BENCHMARKS.md with
--write.
"""
import argparse
import base64
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile

import dkim

import filters
import inside
import memory
import report
import results
import scaling
import tables
from filters import load

SIGNERS = [filters.Hsmdkim, filters.HsmdkimToken, filters.OpenDkim, filters.Rspamd, filters.DkimpyMilter, filters.Noop]
VERIFIERS = [filters.HsmdkimVerifier, filters.OpenDkimVerifier, filters.Noop]
OUTSIDE = "192.0.2.25"
# The case that the targets speak of gets more rounds and more time.
SIZE, CONNECTIONS = 5000, 8
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
def count_for(peer, size, connections, seconds, more):
    """Messages of each connection that take about so long, by a first load that is not counted; one very slow peer must not
    keep all waiting."""
    first = load(peer, size, connections, 1 if size > 100000 else 3, *more)
    return max(1, min(2000, round(first["per_second"] * seconds / connections)))


def measure(peers, rounds, seconds, size, connections, more, each_round=None):
    """Rounds over all peers in turn, so that a noisy minute hits all of them. @return medians by peer"""
    samples = {s.name: [] for s in peers}
    count = {s.name: count_for(s, size, connections, seconds, more(s)) for s in peers}
    for _ in range(rounds):
        for s in peers:
            samples[s.name].append(load(s, size, connections, count[s.name], *more(s)))
        if each_round is not None:
            each_round()
    return {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]} for name, runs in samples.items()}


def pieces_text(rounds):
    return subprocess.run([os.path.join(filters.BIN, "microbench"), str(rounds)], capture_output=True, text=True,
                          check=True).stdout


def signature_cost():
    """CPU us of one RSA-2048 signature with OpenSSL in process."""
    return json.loads(pieces_text(1).splitlines()[-1])["rsa2048_sign_us"]


class Bench:
    """The parts. Each returns what report.py makes a table of, or None when an output was wrong."""

    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.key = os.path.join(directory, "key.pem")
        self.running = []
        self.sizes, self.counts = ([SIZE], [CONNECTIONS]) if args.short else (args.sizes, args.connections)
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

    def cases(self, more, each_round):
        """@param more: of the size and the peer, what milterload needs besides"""
        figures = {}
        for size in self.sizes:
            for connections in self.counts:
                main = (size, connections) == (SIZE, CONNECTIONS)
                rounds = self.args.rounds if main else min(3, self.args.rounds)
                seconds = 0.3 if self.args.short else 2 if main else 1
                figures[f"{size}x{connections}"] = measure(self.running, rounds, seconds, size, connections,
                                                           functools.partial(more, size), each_round if main else None)
                print(f"   {size} bytes, {connections} connections: " +
                      ", ".join(f"{n} {r['per_second']:.0f}/s" for n, r in figures[f'{size}x{connections}'].items()),
                      flush=True)
        return figures

    def sign(self):
        costs = [signature_cost()]
        self.start(SIGNERS, self.key)
        good = all([check_output(signer) for signer in self.running])
        figures = self.cases(lambda size, peer: [], lambda: costs.append(signature_cost()))
        self.stop()
        return {"cases": figures, "signature_us": statistics.median(costs)} if good else None

    def verify(self):
        records = os.path.join(self.directory, "records")
        with open(records, "w", encoding="ascii") as f:
            f.write(f"{filters.SELECTOR}._domainkey.{filters.DOMAIN} {record(self.key).decode()}\n")
        self.start(VERIFIERS, records)
        signed = {size: signed_message(self.directory, self.key, size) for size in self.sizes}
        figures = self.cases(lambda size, peer: ["--client", OUTSIDE, "--file", signed[size]], None)
        self.stop()
        return {"cases": figures}

    def memory(self):
        return memory.run(self.directory, self.key, self.args)

    def tables(self):
        return tables.run(self.directory, self.key, self.args)

    def pieces(self):
        return {"text": pieces_text(1 if self.args.short else 15)}

    def sessions(self):
        return scaling.run(2 if self.args.short else 5, 1 if self.args.short else 3) or {}

    def inside(self):
        return inside.run(self.directory, self.key, self.args)


def numbers(text):
    return [int(word) for word in text.split(",")]


PARTS = ("sign", "verify", "memory", "tables", "pieces", "sessions", "inside")


PROGRAMS = [os.path.join(filters.BIN, name) for name in ("hsmdkim", "hsmdkim-signer", "hsmdkim-mktable", "milterload", "noopmilter",
                                                         "microbench", "baresign")] + [scaling.FAULTMOD]


def conditions(args):
    """What figures depend on besides the machine."""
    return {**{name: getattr(args, name) for name in ("sizes", "connections", "rounds", "only", "body", "short")},
            "programs": results.fingerprint(PROGRAMS)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part in PARTS:
        parser.add_argument("--" + part, action="store_true", help="this part; without any: all (--short: the first two)")
    parser.add_argument("--short", action="store_true", help="one small case of each part")
    parser.add_argument("--rounds", type=int, default=7, help="of the main case; the others have at most 3")
    parser.add_argument("--sizes", type=numbers, default=[5000, 70000, 1000000], help="bytes of a body, with commas")
    parser.add_argument("--connections", type=numbers, default=[1, 8, 64], help="with commas")
    parser.add_argument("--only", help="comma list of filters")
    parser.add_argument("--body", type=int, default=10**9, help="bytes of --memory's large body")
    parser.add_argument("--results", help="folder for what is measured (default: build/bench; --short: thrown away)")
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/BENCHMARKS.md")
    args = parser.parse_args()
    parts = [p for p in PARTS if getattr(args, p)] or (PARTS[:2] if args.short else PARTS)
    with tempfile.TemporaryDirectory(prefix="hsmdkim-bench-") as directory:
        os.chmod(directory, 0o755)
        kept = results.Results(args.results or (directory + "/results" if args.short else
                                                os.path.join(filters.TOP, "build/bench")), conditions(args))
        good = run_parts(parts, args, directory, kept)
        text = report.markdown(kept)
    print("\n" + text)
    if args.write:
        report.write(text)
    return 0 if good else 1


def run_parts(parts, args, directory, kept):
    good = True
    bench = Bench(args, directory)
    for part in parts:
        if kept.has(part) and not args.again:
            print(f"-- {part}: measured before ({kept.path(part)})")
            continue
        print(f"-- {part}", flush=True)
        try:
            good = kept.measure(part, getattr(bench, part)) and good
        finally:
            bench.stop()
    return good


if __name__ == "__main__":
    sys.exit(main())
