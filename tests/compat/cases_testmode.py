"""Cases: -t and the other options of the command line, with messages on files."""
import dataclasses

from cases_verify import signed
from messages import DEFAULT, author, extra, message

NOW = "1795514400"


@dataclasses.dataclass
class Run:
    """Both programs called once. {dir} in arguments and settings is the folder with the files."""
    name: str
    arguments: list
    settings: dict = dataclasses.field(default_factory=dict)
    base: str = "verify"  # or "single", "none"
    stdin: str = ""  # name of a message


def lf(wire):
    return wire.replace(b"\r\n", b"\n")


def files(keys):
    """{name: bytes}: the messages that the runs name."""
    def wire(one):
        return (one(keys) if callable(one) else one).wire()
    good = wire(signed())
    plain = message().wire()
    made = {
        "plain": plain, "plain-lf": lf(plain), "good": good, "good-lf": lf(good),
        "simple": wire(signed(canonicalize=(b"simple", b"simple"))),
        "body": wire(signed(edit=("Hello Bob", "Hello Rob"))),
        "subject": wire(signed(edit=("A test", "A tent"))),
        "no-key": wire(signed(selector="missing")),
        "revoked": wire(signed(selector="revoked")),
        "testing": wire(signed(selector="testing", edit=("Hello Bob", "Hello Rob"))),
        "small": wire(signed(selector="small")),
        "two-signatures": wire(signed(before=[])).replace(b"DKIM-Signature: ", b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=none; "
                                                          b"h=from; bh=AAAA; b=AAAA\r\nDKIM-Signature: ", 1),
        "garbage": wire(message((("DKIM-Signature", "garbage"),) + DEFAULT)),
        "forged": wire(message((("Authentication-Results", "DEBUG-j; dkim=pass"),) + DEFAULT)),
        "no-from": author(None).wire(), "two-from": extra(("From", "carol@example.com")).wire(),
        "foreign": author("carol@example.org").wire(),
        "header-only": plain.split(b"\r\n\r\n")[0] + b"\r\n", "no-last-end": plain[:-2], "empty": b"",
        "no-header": b"\r\ntext\r\n", "malformed": plain.replace(b"Subject: ", b"Subject ", 1).replace(b"A test", b"nothing", 1),
        "fold-first": b" folded\r\n" + plain, "folded": plain.replace(b"Subject: A", b"Subject: A\r\n\t B", 1),
        "no-blank": plain.replace(b"Subject: ", b"Subject:", 1), "long-line": plain + b"x" * 200000 + b"\r\n",
        "blank-lines": plain + b"\r\n" * 5, "blanks": plain + b"a  \r\n \t\r\n",
    }
    return {name + ".eml": content for name, content in made.items()}


ALL = ("plain", "plain-lf", "good", "good-lf", "simple", "body", "subject", "no-key", "revoked", "testing", "small",
       "two-signatures", "garbage", "forged", "no-from", "two-from", "header-only", "no-last-end", "empty", "no-header",
       "malformed", "fold-first", "folded", "blank-lines", "blanks", "long-line")
SIGNED = ("plain", "plain-lf", "good", "no-from", "two-from", "foreign", "header-only", "no-last-end", "folded", "blank-lines", "blanks",
          "long-line")


def message_of(name):
    return "{dir}/" + name + ".eml"


def at(*names):
    return ["-t", ",".join(message_of(name) for name in names)]


def test_mode():
    for name in ALL:
        for level in range(3):
            yield Run(f"test-verify-{name}-{level}", ["-v"] * level + at(name))
    for name in SIGNED:
        for level in (0, 2):
            yield Run(f"test-sign-{name}-{level}", ["-F", NOW] + ["-v"] * level + at(name), base="single")
    for name, settings in (("relaxed", {"Canonicalization": "relaxed/relaxed"}), ("ttl", {"SignatureTTL": "60"}),
                           ("z", {"Diagnostics": "yes"}), ("length", {"MaximumSignedBytes": "5"}),
                           ("both", {"Mode": "sv"}), ("remove", {"RemoveOldSignatures": "yes", "Mode": "s"})):
        yield Run("test-sign-with-" + name, ["-F", NOW, "-v", "-v"] + at("plain", "good"), settings, base="single")
    yield Run("test-several", at("plain", "good", "body"))
    yield Run("test-not-there", at("plain", "nothing", "good"))
    yield Run("test-stdin", ["-t", "-"], stdin="good")
    yield Run("test-stdin-and-file", ["-t", "-," + message_of("plain")], stdin="good")
    yield Run("test-strict", at("plain"), {"StrictTestMode": "yes"})
    yield Run("test-strict-lf", at("plain-lf"), {"StrictTestMode": "yes"})
    yield Run("test-strict-body-lf", at("plain", "plain-lf"), {"StrictTestMode": "yes"})
    yield Run("test-reject", ["-v", "-v"] + at("body", "plain"), {"On-BadSignature": "reject"})
    yield Run("test-required", ["-v", "-v"] + at("two-from", "plain"), {"RequiredHeaders": "yes"})
    yield Run("test-headers-strict", ["-v", "-v"] + at("two-from", "plain"), {"StrictHeaders": "yes"})
    yield Run("test-always", ["-v", "-v"] + at("plain"), {"AlwaysAddARHeader": "yes"})
    yield Run("test-peer", ["-v", "-v"] + at("good"), {"PeerList": "127.0.0.1"})
    yield Run("test-no-files", ["-t", ","])
    yield Run("test-data-file", at("good", "no-key"), {"TestPublicKeys": None, "TestDNSData": "file:{dir}/records"})
    yield Run("test-data-refile", at("good"), {"TestPublicKeys": None, "TestDNSData": "refile:{dir}/records"})
    yield Run("test-data-upper", at("good"), {"TestPublicKeys": None, "TestDNSData": "file:{dir}/records-upper"})
    yield Run("test-data-csl", at("no-key", "good"),
              {"TestPublicKeys": None, "TestDNSData": "csl:missing._domainkey.example.com=garbage"})


def options():
    """Each option once, most with -t to see what it does."""
    key = ["-d", "example.com", "-s", "sel", "-k", "{dir}/key.pem", "-F", NOW]
    sign = ["-b", "s"] + key
    for name, arguments in (
            ("A", ["-A"] + at("good")), ("b-s", sign + at("plain")), ("b-v", ["-b", "v"] + at("good")), ("b-sv", ["-b", "sv"] + key + at("plain")),
            ("b-bad", ["-b", "x"] + at("good")), ("c", sign + ["-c", "relaxed/relaxed"] + at("plain")), ("c-one", sign + ["-c", "relaxed"] + at("plain")),
            ("c-bad", sign + ["-c", "loose"] + at("plain")), ("D", ["-D"] + sign + at("plain")), ("f", ["-f"] + at("good")),
            ("F-without-t", ["-F", NOW, "-n"]), ("F-bad", ["-F", "now"] + at("plain")), ("F-negative", ["-F", "-5"] + at("plain")),
            ("k-missing", ["-b", "s", "-d", "example.com", "-s", "sel", "-k", "{dir}/nothing.pem"] + at("plain")),
            ("l", ["-l"] + at("good")), ("L", ["-L", "10"] + at("good")), ("L-percent", ["-L", "50%"] + at("good")), ("L-plus", ["-L", "5+"] + at("good")),
            ("L-bad", ["-L", "many"] + at("good")), ("n", ["-n"]), ("o", sign + ["-o", "Subject"] + at("plain")),
            ("o-none", sign + ["-o", "-"] + at("plain")), ("p", ["-p", "inet:0@127.0.0.1", "-n"]), ("P", ["-P", "{dir}/pid", "-n"]),
            ("r", ["-r", "-v", "-v"] + at("two-from")), ("S", sign + ["-S", "rsa-sha256"] + at("plain")), ("S-bad", sign + ["-S", "rsa-md5"] + at("plain")),
            ("T", ["-T", "3"] + at("good")), ("T-bad", ["-T", "soon"] + at("good")), ("T-negative", ["-T", "-1"] + at("good")),
            ("u-unknown", ["-u", "nobody-of-that-name"] + at("good")), ("v-without-t", ["-v", "-n"]), ("W", ["-W", "-l"] + at("good")),
            ("X", ["-X", "-n"]), ("U", ["-U", "{dir}/pop.db", "-n"]), ("V", ["-V"]), ("e", ["-e", "LogWhy"]), ("e-unset", ["-e", "KeyTable"]),
            ("e-unknown", ["-e", "NoSuchThing"]), ("unknown", ["-z"]), ("word", ["word"]), ("no-argument", ["-t"]), ("empty-t", ["-t", ""]),
            ("empty-b", ["-b", ""] + at("good")), ("empty-k", ["-k", ""] + at("good"))):
        yield Run("option-" + name, arguments)
    yield Run("option-x-missing", ["-x", "{dir}/nothing.conf", "-n"], base="none")
    yield Run("option-Q", ["-Q"], base="none", stdin="query")


def runs():
    yield from test_mode()
    yield from options()
