"""Cases: what is verified. Messages that dkimpy signed with the shared key, and what was done to them on the way."""
import base64
import re

import dkim

from messages import BODY, DEFAULT, Sent, Setup, envelope, message, milterclient

OUTSIDE = envelope(host="mx.example.net", address="192.0.2.25")


def signed(selector="sel", domain="example.com", edit=None, before=(), fields=DEFAULT, body=BODY, **options):
    """@return a function of the keys that makes the message. edit: (pattern, replacement) applied to all of it"""
    def make(keys):
        plain = message(fields, body)
        options.setdefault("canonicalize", (b"relaxed", b"relaxed"))
        raw = plain.wire()
        raw = dkim.sign(raw, selector.encode(), domain.encode(), keys.files["key.pem"], **options) + raw
        if edit is not None:
            raw, count = re.subn(edit[0].encode(), edit[1].encode(), raw, count=1)
            assert count == 1, edit
        made = milterclient.Message.parse(raw)
        made.fields[:0] = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in before]
        return made
    return make


def tag(name, value):
    """An edit of a tag of the signature."""
    return rf"(?<=[ ;\t]){name}=[^;]*", f"{name}={value}"


def forged_by_small_order(keys):
    """A key that is the neutral point, and the signature that any message has with it."""
    point = bytes([1]) + bytes(31)
    made = message().wire()
    field = dkim.sign(made, b"small-order", b"example.com", base64.b64encode(b"k" * 32), signature_algorithm=b"ed25519-sha256")
    field = re.sub(rb"(?<![a-z])b=[A-Za-z0-9+/=\s]*\r\n\Z", b"b=" + base64.b64encode(point + bytes(32)) + b"\r\n", field)
    return milterclient.Message.parse(field + made)


# Signatures as they are met.
MET = (
    ("good", signed()),
    ("simple", signed(canonicalize=(b"simple", b"simple"))),
    ("relaxed-simple", signed(canonicalize=(b"relaxed", b"simple"))),
    ("simple-relaxed", signed(canonicalize=(b"simple", b"relaxed"))),
    ("unsigned", message()),
    ("other-domain", signed(domain="example.org")),
    ("sub-domain", signed(domain="sub.example.com")),
    ("empty-body", signed(body=b"")),
    ("body-changed", signed(edit=("Hello Bob", "Hello Rob"))),
    ("body-longer", signed(body=BODY, edit=(r"it\. \r\n\Z", "it. \r\nmore\r\n"))),
    ("subject-changed", signed(edit=("A test", "A tent"))),
    ("key-missing", signed(edit=tag("s", "missing"))),
    ("key-revoked", signed(selector="revoked")),
    ("key-garbage", signed(selector="garbage")),
    ("key-testing", signed(selector="testing")),
    ("key-testing-bad", signed(selector="testing", edit=("Hello Bob", "Hello Rob"))),
    ("key-strict", signed(selector="strict")),
    ("key-strict-identity", signed(selector="strict", identity=b"a@x.example.com")),
    ("key-sha1-only", signed(selector="sha1")),
    ("key-other-service", signed(selector="service")),
    ("key-small", signed(selector="small")),
    ("key-no-version", signed(selector="bare")),
    ("version-2", signed(edit=tag("v", "2"))),
    ("no-version", signed(edit=("v=1; ", ""))),
    ("no-domain", signed(edit=(r" d=example\.com;", ""))),
    ("no-selector", signed(edit=(r" s=sel;", ""))),
    ("no-body-hash", signed(edit=(r"bh=[^;]*;", ""))),
    ("empty-b", signed(edit=(r"(?<![a-z])b=[A-Za-z0-9+/=\s]*?\r\n(?=From)", "b=\r\n"))),
    ("unknown-algorithm", signed(edit=tag("a", "rsa-md5"))),
    ("rsa-sha1", signed(edit=tag("a", "rsa-sha1"))),
    ("unknown-canon", signed(edit=tag("c", "nofws/simple"))),
    ("unknown-query", signed(edit=tag("q", "http/get"))),
    ("identity-outside", signed(edit=tag("i", "@example.org"))),
    ("identity-below", signed(identity=b"alice@sub.example.com")),
    ("identity-utf8", signed(identity="@b\u00fccher.example.com".encode())),
    ("identity-utf8-mapped", signed(identity="@B\u00dccher.example.com".encode())),
    ("key-small-order", forged_by_small_order),
    ("future", signed(edit=tag("t", "4102444800"))),
    ("length", signed(length=True)),
    ("no-from-in-h", signed(include_headers=[b"Subject", b"From"], edit=(r"\bfrom : subject\b|\bsubject : from\b.*?;", "subject;"))),
    ("no-from", signed(fields=DEFAULT, edit=(r"\r\nFrom: [^\r]*", ""))),
    ("two-from", signed(before=(("From", " Eve <eve@example.org>"),))),
    ("unknown-tag", signed(edit=(r"v=1;", "v=1; foo=bar;"))),
    ("duplicate-tag", signed(edit=(r"s=sel;", "s=sel; s=sel;"))),
    ("garbage-field", message((("DKIM-Signature", "garbage"),) + DEFAULT)),
    ("empty-field", message((("DKIM-Signature", ""),) + DEFAULT)),
)
FORGED = (
    ("forged", (("Authentication-Results", " mail.example.com; dkim=pass"),)),
    ("forged-case", (("authentication-results", " MAIL.example.COM; dkim=pass"),)),
    ("forged-spf", (("Authentication-Results", " mail.example.com; spf=pass smtp.mailfrom=a@example.com"),)),
    ("forged-dot", (("Authentication-Results", " mail.example.com.; dkim=pass"),)),
    ("forged-broken", (("Authentication-Results", " mail.example.com; dkim"),)),
    ("forged-comment", (("Authentication-Results", " (x) mail.example.com (y); dkim=pass"),)),
    ("other-host", (("Authentication-Results", " other.example.net; dkim=pass"),)),
    ("several", (("Authentication-Results", " mail.example.com; dkim=pass"), ("Authentication-Results", " other.example.net; dkim=pass"),
                 ("Authentication-Results", " mail.example.com; dkim=fail"))),
)
# What StrictHeaders refuses, with a signature that is good and without one.
STRICT = (
    ("two-from", (("From", " Eve <eve@example.org>"),)),
    ("two-subject", (("Subject", " again"),)),
    ("two-date", (("Date", " Tue, 24 Nov 2026 10:00:01 +0000"),)),
    ("two-sender", (("Sender", " a@example.com"), ("Sender", " b@example.com"))),
    ("two-bcc", (("Bcc", " a@example.com"), ("Bcc", " b@example.com"))),
    ("one-sender", (("Sender", " a@example.com"),)),
)
ON = ("On-BadSignature", "On-KeyNotFound", "On-NoSignature")
ACTIONS = ("accept", "reject", "tempfail", "discard", "quarantine")
BAD = {"On-BadSignature": "body-changed", "On-KeyNotFound": "key-missing", "On-NoSignature": "unsigned"}


def several(count):
    """Good signatures of that many selectors."""
    def make(keys):
        made = signed()(keys)
        made.fields[:1] = [signed(selector)(keys).fields[0] for selector in ("sel", "two", "s1", "s2", "s3", "s4", "s5", "s6", "2026.nov")[:count]]
        return made
    return make


def met(*names):
    return [Sent(name, one, OUTSIDE) for name, one in MET if not names or name in names]


def strict_messages():
    no_date = tuple(field for field in DEFAULT if field[0] != "Date")
    return ([Sent("signed-" + name, signed(before=before), OUTSIDE) for name, before in STRICT]
            + [Sent("plain-" + name, message(tuple((n, v.strip()) for n, v in before) + DEFAULT), OUTSIDE) for name, before in STRICT]
            + [Sent("signed-no-date", signed(fields=no_date), OUTSIDE), Sent("plain-no-date", message(no_date), OUTSIDE),
               Sent("forged-two-subject", message((("Authentication-Results", "mail.example.com; dkim=pass"), ("Subject", "again"))
                                                  + DEFAULT), OUTSIDE)] + met("good", "unsigned", "body-changed", "no-from"))


def setups():
    yield Setup("verify", {}, met(), base="verify")
    yield Setup("verify-results", {"LogResults": "yes", "AlwaysAddARHeader": "yes"}, met(), base="verify")
    yield Setup("verify-forged", {}, [Sent(name, signed(before=before), OUTSIDE) for name, before in FORGED], base="verify")
    yield Setup("verify-forged-unsigned", {}, [Sent(name, message(tuple((n, v.strip()) for n, v in before) + DEFAULT), OUTSIDE)
                                               for name, before in FORGED], base="verify")
    for name, settings in (("keep", {"KeepAuthResults": "yes"}), ("all", {"RemoveARAll": "yes"}),
                           ("from", {"RemoveARFrom": "other.example.net"}), ("suffix", {"RemoveARFrom": ".example.net"})):
        yield Setup("verify-ar-" + name, settings, [Sent(which, signed(before=before), OUTSIDE) for which, before in FORGED], base="verify")
    for name, settings in (("id", {"AuthservID": "results.example.com"}), ("host", {"AuthservID": "HOSTNAME"}),
                           ("job", {"AuthservIDWithJobID": "yes"}), ("no-b", {"NoHeaderB": "yes"}),
                           ("bits", {"MinimumKeyBits": "4096"}), ("must", {"MustBeSigned": "X-None,Subject"}),
                           ("min", {"Minimum": "10"}), ("min-percent", {"Minimum": "50%"}), ("min-but", {"Minimum": "5+"}),
                           ("drift", {"ClockDrift": "10"}), ("quiet", {"SyslogSuccess": "no", "LogWhy": "no"}),
                           ("one", {"MaximumSignaturesToVerify": "1"}), ("default", {"On-Default": "reject"}),
                           ("redirect", {"RedirectFailuresTo": "postmaster@example.com"})):
        yield Setup("verify-" + name, settings, met("good", "unsigned", "body-changed", "length", "key-missing", "simple"), base="verify")
    for name, settings in (("strict", {}), ("strict-results", {"LogResults": "yes", "AlwaysAddARHeader": "yes"}),
                           ("strict-ignore", {"IgnoreMalformedMail": "yes"}), ("strict-default", {"On-Default": "tempfail"}),
                           ("strict-software", {"SoftwareHeader": "yes"})):
        yield Setup("verify-" + name, {"StrictHeaders": "yes", **settings}, strict_messages(), base="verify")
    yield Setup("verify-all", {"MaximumSignaturesToVerify": "0"},
                [Sent(f"signatures-{count}", several(count), OUTSIDE) for count in (1, 4, 9)], base="verify")
    for setting in ON:
        for action in ACTIONS:
            yield Setup(f"verify-{setting}-{action}".lower(), {setting: action}, met("good", BAD[setting], "key-testing-bad"), base="verify")
    yield Setup("verify-sv", {"Mode": "sv", "Domain": "example.com", "Selector": "sel", "KeyFile": "{dir}/key.pem"},
                met() + [Sent("inside", signed()), Sent("inside-other", signed(domain="example.org", fields=(("From", "c@example.org"),) + DEFAULT[1:]))],
                base="verify")
