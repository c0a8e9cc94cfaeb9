#!/usr/bin/python3
"""Commands in any order and packets that no MTA sends: the daemon answers or closes, and goes on signing for others."""
import random
import socket
import struct
import time

import harness
import milterclient

HOSTILE = {
    "length-zero": struct.pack("!I", 0),
    "length-huge": struct.pack("!I", 0xFFFFFFFF) + b"L",
    "length-half-gigabyte": struct.pack("!I", 1 << 29) + b"B" + b"x" * 100,
    "unknown-command": struct.pack("!I", 1) + b"\xff",
    "negotiation-short": struct.pack("!I", 3) + b"O\0\0",
    "negotiation-version-0": struct.pack("!I", 13) + b"O" + struct.pack("!III", 0, 0, 0),
    "negotiation-version-huge": struct.pack("!I", 13) + b"O" + struct.pack("!III", 0xFFFFFFFF, 0, 0),
    "connect-without-address": struct.pack("!I", 2) + b"C\0",
    "connect-family-unknown": struct.pack("!I", 8) + b"Chost\0?",
    "header-without-value": struct.pack("!I", 5) + b"LFrom",
    "mail-without-nul": struct.pack("!I", 3) + b"M<>",
    "random": random.Random(7).randbytes(4096),
}


class Order(harness.Case):
    def setUp(self):
        super().setUp()
        # libmilter's own complaints about broken peers
        self.daemon_ = self.file_key_daemon(allowed=[r"mi_|protocol|select|read|packet|negotiat|abort"])

    def still_signs(self):
        self.assert_signed(self.daemon_.send(harness.MESSAGE), ("sel",))

    def play(self, steps):
        """Send the steps in this order, waiting for each answer as an MTA does."""
        message = milterclient.Message.parse(harness.MESSAGE)
        envelope = milterclient.Envelope()
        outcome = milterclient.Outcome(message=message.copy())
        with milterclient.MilterClient(self.daemon_.socket, timeout=10) as client:
            does = {
                "connect": lambda: client.connect(envelope),
                "helo": lambda: client.command(b"H", b"host\0"),
                "mail": lambda: client.command(b"M", b"<a@example.com>\0"),
                "rcpt": lambda: client.command(b"R", b"<b@example.net>\0", {b"i": b"QID"}),
                "data": lambda: client.command(b"T"),
                "from": lambda: client.header(b"From", b" alice@example.com"),
                "eoh": lambda: client.command(b"N"),
                "body": lambda: client.command(b"B", b"text\r\n"),
                "eom": lambda: client.end_of_message(envelope, outcome),
                "abort": client.abort,
            }
            for step in steps:
                does[step]()
            client.quit()
        return outcome

    def pour(self, data, negotiate=True):
        """Send it all, listen until the daemon closes. libmilter drops a command out of order without an answer."""
        with milterclient.MilterClient(self.daemon_.socket, 10, negotiate=negotiate) as client:
            client.sock.sendall(data)
            client.sock.shutdown(socket.SHUT_WR)
            with self.assertRaisesRegex(milterclient.MilterError, "closed|lost|packet of"):
                while True:
                    client.receive()

    def test_orders_that_postfix_can_produce(self):
        for steps in (
            ["connect"], ["connect", "helo"], ["connect", "helo", "mail"], ["connect", "mail", "abort", "mail", "abort"],
            ["connect", "helo", "mail", "rcpt", "data", "from", "abort"],
            ["connect", "helo", "mail", "rcpt", "data", "from", "eoh", "body", "abort", "mail", "rcpt"],
            ["abort"], ["abort", "abort", "abort"],
        ):
            with self.subTest(steps=steps):
                self.play(steps)
        self.still_signs()

    PACKETS = {
        "connect": b"Chost\x004\x30\x39127.0.0.1\0", "helo": b"Hhost\0", "mail": b"M<a@example.com>\0",
        "rcpt": b"R<b@example.net>\0", "data": b"T", "from": b"LFrom\0 alice@example.com\0", "eoh": b"N",
        "body": b"Btext\r\n", "eom": b"E", "abort": b"A", "unknown": b"UFOO\0", "macro": b"DEi\0QID\0",
    }

    def pour_steps(self, steps):
        packets = [self.PACKETS[step] for step in steps]
        self.pour(b"".join(struct.pack("!I", len(packet)) + packet for packet in packets))

    def test_orders_that_no_mta_produces(self):
        for steps in (
            ["mail"], ["eom"], ["eoh"], ["body"], ["from"], ["rcpt"], ["data", "data"], ["mail", "eom"],
            ["connect", "mail", "eom"], ["connect", "connect", "mail", "from", "eoh", "eom"],
            ["mail", "mail", "from", "from", "eoh", "eoh", "eom", "eom"], ["connect", "mail", "body", "eom"],
            ["mail", "from", "eom", "body", "eoh", "eom"], ["mail", "eoh", "from", "body", "from", "eom"],
            ["connect", "mail", "from", "eoh", "eom", "from", "eoh", "eom"], ["helo", "connect", "helo", "mail"],
            ["mail", "from", "eoh", "body", "mail", "eom"], ["abort", "eom"], ["mail", "abort", "eom"],
        ):
            with self.subTest(steps=steps):
                self.pour_steps(steps)
        self.still_signs()

    def test_random_orders(self):
        choose = random.Random(2026)
        for _ in range(300):
            steps = choose.choices(list(self.PACKETS), k=choose.randint(1, 14))
            with self.subTest(steps=steps):
                self.pour_steps(steps)
        self.still_signs()

    def test_hostile_packets(self):
        for name, data in HOSTILE.items():
            for negotiated in (False, True):
                with self.subTest(packet=name, negotiated=negotiated):
                    self.pour(data, negotiated)
        self.still_signs()

    def test_connection_cut_everywhere(self):
        """The MTA dies in the middle of a packet, at each byte of a short dialogue."""
        dialogue = b"".join(struct.pack("!I", len(part)) + part for part in (
            b"O" + struct.pack("!III", 6, milterclient.ACTIONS_ALL, milterclient.STEPS_ALL), b"DCj\0host\0",
            b"Chost\x004\x30\x39127.0.0.1\0", b"Hhost\0", b"M<a@example.com>\0", b"R<b@example.net>\0",
            b"LFrom\0 alice@example.com\0", b"N", b"Bhello\r\n", b"E"))
        for length in range(0, len(dialogue), 3):
            sock = milterclient.connect_socket(self.daemon_.socket, 10)
            sock.sendall(dialogue[:length])
            sock.close()
        self.still_signs()

    def test_idle_and_slow_connections(self):
        """Many connections that say nothing hold up nobody."""
        idle = [milterclient.connect_socket(self.daemon_.socket, 10) for _ in range(100)]
        started = time.monotonic()
        self.still_signs()
        self.assertLess(time.monotonic() - started, 5)
        for sock in idle:
            sock.close()

    def test_several_messages_on_a_connection(self):
        """Nothing of a message stays for the next one: an unsigned one between signed ones, an abort between two."""
        ours = milterclient.Message.parse(harness.MESSAGE)
        theirs = milterclient.Message.parse(harness.MESSAGE.replace(b"example.com", b"example.org"))
        with milterclient.MilterClient(self.daemon_.socket) as client:
            for number, message in enumerate([ours, theirs, ours, ours, theirs, ours]):
                outcome = client.submit(message, connect=number == 0)
                self.assertTrue(outcome.accepted)
                self.assertEqual(message is ours, len(outcome.signatures) == 1)
                if message is ours:
                    self.assert_signed(outcome, ("sel",))
                client.command(b"M", b"<x@example.com>\0")
                client.command(b"R", b"<y@example.net>\0")
                client.header(b"Subject", b" left over")
                client.abort()


if __name__ == "__main__":
    harness.main()
