#!/usr/bin/python3
"""A message of a gigabyte takes no more memory than a small one, and time grows with size, not with its square."""
import base64
import hashlib
import re
import time

import harness
import milterclient
import verifiers

GIGABYTE = 1 << 30


def peak_kilobytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])


class Repeated:
    """A body that is not in memory here either: one chunk again and again. Looks like bytes to the client."""

    def __init__(self, chunk, times):
        self.chunk, self.times = chunk, times

    def __len__(self):
        return len(self.chunk) * self.times

    def __getitem__(self, cut):
        return self.chunk[:min(cut.stop, len(self)) - cut.start]


def body_hash(chunk, times):
    digest = hashlib.sha256()
    for _ in range(times):
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()


class Memory(harness.Case):
    def submit(self, daemon, chunk, times):
        message = milterclient.Message.parse(harness.MESSAGE)
        message.body = Repeated(chunk, times)
        outcome = milterclient.send(daemon.socket, message, chunks=[len(chunk)], timeout=120)
        self.assertTrue(outcome.accepted, outcome.answer)
        return outcome, verifiers.tags_of(outcome.signatures[0])

    def test_gigabyte(self):
        daemon = self.file_key_daemon({"Canonicalization": "relaxed/simple"})
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        pids = {kind: daemon.child(kind) for kind in ("milter", "signer")}
        before = {kind: peak_kilobytes(pid) for kind, pid in pids.items()}
        chunk = (b"x" * 76 + b"\r\n") * 840
        times = GIGABYTE // len(chunk) + 1
        _, tags = self.submit(daemon, chunk, times)
        self.assertEqual(body_hash(chunk, times), tags["bh"])
        for kind, pid in pids.items():
            self.assertLess(peak_kilobytes(pid) - before[kind], 2048, f"kilobytes more in the {kind} process")


class Linear(harness.Case):
    """Bodies that are quadratic for naive canonicalizers: ten times the size may take about ten times the time."""

    def seconds(self, daemon, chunk, times):
        message = milterclient.Message.parse(harness.MESSAGE)
        message.body = b"start\r\n" + chunk * times + b"end\r\n"
        started = time.monotonic()
        outcome = daemon.send(message)
        self.assertTrue(outcome.accepted)
        return time.monotonic() - started

    def test_bodies(self):
        daemon = self.file_key_daemon({"Canonicalization": "relaxed/relaxed"})
        for name, chunk in (("spaces", b" " * 1000), ("blank lines", b"\r\n" * 500), ("space lines", b" \r\n" * 333),
                            ("bare CR", b"\r" * 1000), ("one line", b"x" * 1000)):
            with self.subTest(body=name):
                small = min(self.seconds(daemon, chunk, 1000) for _ in range(3))
                large = self.seconds(daemon, chunk, 10000)
                self.assertLess(large, 0.2 + 30 * small, f"1 MB: {small:.3f} s, 10 MB: {large:.3f} s")

    def test_headers(self):
        """2,000 fields of one name, all of them signed."""
        daemon = self.file_key_daemon({"SignHeaders": "From,X-Same"})
        fields = [(b"From", b" alice@example.com")] + [(b"X-Same", b" %d" % number) for number in range(1900)]
        started = time.monotonic()
        outcome = daemon.send(milterclient.Message(fields, b"text\r\n"))
        self.assertTrue(outcome.accepted, f"{outcome.answer} {outcome.reply}")
        self.assertLess(time.monotonic() - started, 5)


if __name__ == "__main__":
    harness.main()
