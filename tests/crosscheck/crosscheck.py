#!/usr/bin/python3
"""Random messages, signed by sign_stream, judged by dkimpy and Mail::DKIM.

usage: crosscheck.py BIN ROUNDS [SEED]
Each round makes one message of the bytes that canonicalization cares about, signs it with an RSA and an Ed25519 key in
one pair of canonicalizations, and asks both verifiers. Where a verifier is known to differ from RFC 6376
(docs/CANONICALIZATION.md), the message is not shown to it.
"""
import base64
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.environ.get("E2E", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e")))
import verifiers  # noqa: E402

PAIRS = [(h, b) for h in ("simple", "relaxed") for b in ("simple", "relaxed")]
BODY_PARTS = [b"a", b"word", b" ", b"  ", b"\t", b" \t ", b"\r\n", b"\r\n\r\n", b" \r\n", b".", b"\0", b"\xe4", b"\r", b"\n",
              b"=", b"x" * 70, b"<p>", b"    "]
VALUE_PARTS = [b"a", b"word", b" ", b"  ", b"\t", b"\r\n ", b"\r\n\t", b" \r\n ", b"\xc3\xa4", b";", b":", b"=", b"x" * 40]
NAMES = [b"To", b"TO", b"Subject", b"subject", b"X-Over", b"x-over", b"X-A", b"X-b", b"Reply-To", b"Received", b"Cc",
         b"DKIM-Signature", b"Message-ID", b"Not-Signed"]


def random_message(rng):
    fields = []
    for _ in range(rng.randrange(12)):
        value = b"".join(rng.choices(VALUE_PARTS, k=rng.randrange(8)))
        if rng.random() < 0.7:
            value = b" " + value
        fields.append(rng.choice(NAMES) + b":" + value)
    fields.insert(rng.randrange(len(fields) + 1), b"From: A <a@example.com>")
    body = b"".join(rng.choices(BODY_PARTS, k=rng.choice([0, 1, 3, 10, 100, 3000])))
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def on_the_wire(message):
    """What a verifier gets: SMTP has no last line without CRLF."""
    body = message.split(b"\r\n\r\n", 1)[1]
    return message if not body or body.endswith(b"\r\n") else message + b"\r\n"


def known_difference(verifier, message):
    """@return why this verifier must not be asked, or None. Same words as in docs/CANONICALIZATION.md."""
    if verifier == "dkimpy" and re.search(rb"(?<!\r)\n", message):
        return "takes a lone LF for a line end when it splits the message"
    return None


class Signer:
    def __init__(self, path, pems):
        self.process = subprocess.Popen([path, *pems], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def sign(self, message, pair, leading_space, chunk):
        self.process.stdin.write(b"%d %s %s %d %d\n%s" % (
            len(message), pair[0].encode(), pair[1].encode(), leading_space, chunk, message))
        self.process.stdin.flush()
        length = self.process.stdout.readline()
        if not length:
            raise RuntimeError("sign_stream died")
        return self.process.stdout.read(int(length))

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError("sign_stream failed")


def make_keys(directory):
    """@return PEM paths and the zone"""
    pems, zone = [], {}
    for selector, options in (("rsa", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), ("ed25519", ["ED25519"])):
        pem = os.path.join(directory, selector + ".pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", *options, "-out", pem], check=True, stderr=subprocess.DEVNULL)
        der = subprocess.run(["openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER"], check=True,
                             stdout=subprocess.PIPE).stdout
        public = base64.b64encode(der[-32:] if selector == "ed25519" else der).decode()
        pems.append(pem)
        zone[f"{selector}._domainkey.example.com"] = f"v=DKIM1; k={selector}; p={public}"
    return pems, zone


def main():
    binary, rounds = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    failures = asked = passed_over = 0
    with tempfile.TemporaryDirectory() as directory:
        pems, zone = make_keys(directory)
        signer = Signer(os.path.join(binary, "sign_stream"), pems)
        judges = verifiers.Verifiers(zone, directory)
        for number in range(rounds):
            message, pair = random_message(rng), PAIRS[number % 4]
            signed = signer.sign(message, pair, rng.randrange(2) if pair[0] == "relaxed" else 1, rng.choice([1, 2, 7, 65535]))
            for (verifier, selector), verdict in judges.verdicts(on_the_wire(signed), ["rsa", "ed25519"]).items():
                if known_difference(verifier, message):
                    passed_over += 1
                    continue
                asked += 1
                if not verdict.good:
                    failures += 1
                    if failures <= 10:
                        print(f"round {number} {'/'.join(pair)} {verdict}\n{signed!r}\n")
        judges.close()
        signer.close()
    print(f"{rounds} messages, {asked} verdicts, {failures} failures, {passed_over} not asked (known differences)")
    sys.exit(1 if failures or asked < rounds else 0)


if __name__ == "__main__":
    main()
