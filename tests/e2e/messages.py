"""The written messages of the round trip: each with what must become of it.

A sample is built from the fields and the body that the MTA would hand over. DISAGREEMENTS lists the cases where a
verifier does not accept a signature that is right by RFC 6376, with the reason.
"""
import dataclasses
import re

import milterclient


@dataclasses.dataclass(frozen=True)
class Sample:
    name: str
    raw: bytes
    signed: bool  # does hsmdkim sign it (RSA and Ed25519, d= below)?
    domain: str
    answer: str  # accept, or reject: it claims a domain of ours and can't be signed

    @property
    def message(self):
        return milterclient.Message.parse(self.raw)


SAMPLES = []

DATE = b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
REST = b"To: Bob <bob@example.net>\r\nSubject: A test\r\n" + DATE + b"Message-ID: <1@example.com>\r\n"
FROM = b"From: Alice <alice@example.com>\r\n"
TEXT = b"Hello Bob,\r\n\r\nthis is a test.\r\n"
MEGABYTE = 1 << 20


def add(name, header=FROM + REST, body=TEXT, signed=True, domain="example.com", answer="accept"):
    SAMPLES.append(Sample(name, header + b"\r\n" + body, signed, domain if signed else "", answer))


def add_from(name, value, **options):
    add("from-" + name, b"From:" + value + b"\r\n" + REST, **options)


# Bodies: where lines and the message end.
add("plain")
add("body-empty", body=b"")
add("body-no-final-crlf", body=b"one line without an end")
add("body-one-blank-line", body=b"\r\n")
add("body-only-blank-lines", body=b"\r\n" * 100)
add("body-blank-lines-at-end", body=TEXT + b"\r\n" * 50)
add("body-blank-lines-at-start", body=b"\r\n\r\n\r\n" + TEXT)
add("body-blank-lines-inside", body=b"a\r\n" + b"\r\n" * 30 + b"b\r\n")
add("body-one-byte", body=b"x")
add("body-looks-like-header", body=b"Subject: not a header\r\n folded\r\nDKIM-Signature: v=1; b=\r\n")
add("body-dots", body=b".\r\n..\r\n.x\r\n...\r\n.\r\n")
add("body-dot-at-end", body=b"text\r\n.")
# White space: what relaxed takes away and simple must keep.
add("body-one-space", body=b" ")
add("body-space-line-at-end", body=TEXT + b" \r\n\t\r\n")
add("body-only-space-lines", body=b" \r\n\t \t\r\n   \r\n")
add("body-space-before-crlf", body=b"a \r\nb\t\r\nc \t \r\nd\r\n")
add("body-space-runs", body=b"a  b\t\tc \t d\r\n  indented\r\n\tindented\r\n")
add("body-space-without-crlf", body=b"text\r\nlast line   ")
add("body-space-then-blank-lines", body=b"text  \r\n\r\n  \r\n\r\n")
add("body-ten-thousand-spaces", body=b"a" + b" " * 10000 + b"b\r\n")
add("body-ten-thousand-blank-lines", body=b"a\r\n" + b"\r\n" * 10000 + b"b\r\n")
# Sizes and places of the chunk border (65,535 bytes).
add("body-megabyte-line", body=b"x" * MEGABYTE + b"\r\n")
add("body-megabyte-line-no-crlf", body=b"x" * MEGABYTE)
add("body-many-lines", body=b"".join(b"line %d of many\r\n" % number for number in range(20000)))
add("body-one-chunk-exactly", body=b"y" * 65533 + b"\r\n")
add("body-crlf-across-chunks", body=b"y" * 65534 + b"\r\nnext line\r\n")
add("body-space-across-chunks", body=b"y" * 65530 + b" " * 10 + b"z\r\n")
add("body-space-crlf-across-chunks", body=b"y" * 65533 + b" \t\r\n" + TEXT)
add("body-blank-lines-across-chunks", body=b"y" * 65531 + b"\r\n\r\n\r\n\r\n")
# Bytes that are not text.
add("body-utf8", body="Grüße an alle: 日本語, ελληνικά\r\n".encode())
add("body-all-high-bytes", body=bytes(range(128, 256)) + b"\r\n")
add("body-control-bytes", body=bytes(b for b in range(1, 32) if b not in (10, 13)) + b"\x7f\r\n")
add("body-nul", body=b"a\0b\r\n\0\0\0\r\nend\0\r\n")
add("body-bare-cr", body=b"a\rb\r\n\rstart\r\nend\r\r\n")
add("body-bare-lf", body=b"a\nb\r\n\nstart\r\n")
add("body-lf-cr", body=b"a\n\rb\r\n")
add("body-cr-at-end", body=b"text\r")
add("body-lf-at-end", body=b"text\n")
add("body-space-before-bare-cr", body=b"a \rb \r\n")
# MIME.
add("mime-multipart", FROM + REST + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n',
    b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n\r\nattachment  \r\n--b--\r\n")
add("mime-quoted-printable", FROM + REST + b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n",
    b"soft=\r\n break =20\r\n=C3=BC\r\n")
add("mime-base64", FROM + REST + b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n",
    (b"QUJD" * 19 + b"\r\n") * 200 + b"QQ==\r\n")

# Fields: folds, spaces, names.
add("field-folded", FROM + b"Subject: one\r\n two\r\n\tthree\r\n" + DATE)
add("field-folded-at-once", FROM + b"Subject:\r\n all of it in the second line\r\n" + DATE)
add("field-folded-spaces-only", FROM + b"Subject: a\r\n \r\n b\r\n" + DATE)
add("field-many-folds", FROM + b"References:" + b"".join(b"\r\n <%d@example.com>" % n for n in range(300))
    + b"\r\n" + DATE)
add("field-no-space", b"From:alice@example.com\r\nTo:bob@example.net\r\nSubject:tight\r\n" + DATE)
add("field-many-spaces", b"From:    Alice   <alice@example.com>   \r\nSubject:\t\ta \t b\t\r\n" + DATE)
add("field-empty", FROM + b"Subject:\r\nTo:\r\n" + DATE)
add("field-only-spaces", FROM + b"Subject:   \t \r\n" + DATE)
add("field-colons", FROM + b"Subject: a: b:: c:\r\n" + DATE)
add("field-upper-case", b"FROM: Alice <alice@example.com>\r\nSUBJECT: Loud\r\nDATE: Tue, 24 Nov 2026 10:00:00 +0000\r\n")
add("field-lower-case", b"from: Alice <alice@example.com>\r\nsubject: quiet\r\ndate: Tue, 24 Nov 2026 10:00:00 +0000\r\n")
add("field-odd-names", FROM + REST + b"X-!#$%&'*+-/=?^_`{|}~: odd\r\nX: one letter\r\n")
add("field-long", FROM + b"Subject: " + b"x" * 900 + b"\r\n" + DATE)
add("field-very-long", FROM + b"References: " + b" ".join(b"<%d@example.com>" % n for n in range(2000)) + b"\r\n" + DATE)
add("field-utf8", FROM + "Subject: Grüße, 日本\r\n".encode() + DATE)
add("field-latin1", FROM + "Subject: Grüße\r\n".encode("latin-1") + DATE)
add("field-encoded-word", b"From: =?utf-8?q?J=C3=B6rg?= <alice@example.com>\r\nSubject: =?utf-8?b?w7w=?=\r\n" + DATE)
add("field-looks-signed", FROM + b"Subject: b=AAAA; bh=BBBB\r\n" + DATE)
add("field-received-first", b"Received: from a by b; Tue, 24 Nov 2026 09:59:59 +0000\r\n"
    b"Received: from c\r\n\tby d; Tue, 24 Nov 2026 09:59:58 +0000\r\nReturn-Path: <x@example.com>\r\n" + FROM + REST)
add("field-lists", FROM + REST + b"List-Id: <l.example.com>\r\nList-Post: <mailto:l@example.com>\r\n"
    b"List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
add("field-resent", FROM + REST + b"Resent-From: carol@example.org\r\nResent-To: dan@example.org\r\n")
# Repeated fields are signed from the bottom up.
add("repeat-subject", FROM + b"Subject: first\r\nSubject: second\r\nSubject: third\r\n" + DATE)
add("repeat-to-apart", b"To: a@example.net\r\n" + FROM + b"To: b@example.net\r\nCc: c@example.net\r\nTO: d@example.net\r\n" + DATE)
add("repeat-same-text", FROM + b"To: a@example.net\r\nTo: a@example.net\r\n" + DATE)
add("repeat-200-to", FROM + b"".join(b"To: u%d@example.net\r\n" % n for n in range(200)) + DATE)
add("thousand-fields", FROM + REST + b"".join(b"X-Field-%d: value %d\r\n" % (n, n) for n in range(1000)))
add("thousand-same-fields", FROM + REST + b"X-Same: again\r\n" * 1000)

# Authors.
add_from("bare", b" alice@example.com")
add_from("quoted-name", b' "Alice <fake@example.org>, Esq." <alice@example.com>')
add_from("quoted-at-sign", b' "a@b" <alice@example.com>')
add_from("comments", b" alice(left)@(middle)example.com (Alice (nested) right)")
add_from("comment-first", b" (hello) Alice <alice@example.com>")
add_from("quoted-local", b' "alice smith"@example.com')
add_from("quoted-local-at", b' <"alice@home \\"x\\""@example.com>')
add_from("folded", b" Alice\r\n\t<alice@example.com>\r\n (a comment)")
add_from("upper-case-domain", b" alice@EXAMPLE.COM")
add_from("subdomain", b" alice@sub.example.com", domain="sub.example.com")
add_from("plus-address", b" alice+tag@example.com")
add_from("source-route", b" <@relay1.example.org,@relay2.example.org:alice@example.com>")
add_from("group-of-one", b" Team: alice@example.com;")
add_from("utf8-local", " <jörg@example.com>".encode())
add_from("utf8-name", " Jörg Müller <alice@example.com>".encode())
add_from("utf8-domain", " <alice@bücher.example>".encode(), domain="bücher.example")
add_from("a-label-domain", b" alice@xn--bcher-kva.example", domain="xn--bcher-kva.example")
add_from("sender-differs", b" alice@example.com\r\nSender: carol@example.org")
# Not signed: nobody, or nobody for sure, is the author.
add("from-none", REST, signed=False)
add_from("empty", b"", signed=False)
add_from("empty-group", b" undisclosed:;", signed=False)
add_from("no-domain", b" alice", signed=False)
add_from("garbage", b' <<">>@@;,', signed=False)
add_from("unclosed-quote", b' "Alice <alice@example.com>', signed=False)
add_from("domain-literal", b" alice@[192.0.2.1]", signed=False)
add_from("bad-domain", b" alice@exa..mple.com", signed=False)
add_from("domain-with-slash", b" alice@../example.com", signed=False)
add_from("stranger", b" mallory@unlisted.example", signed=False)
add_from("lookalike", b" mallory@notexample.com", signed=False)
# Several authors, one of them ours: refused, for neither signing nor passing it on is right.
add_from("two-fields", b" alice@example.com\r\nFrom: mallory@example.org", signed=False, answer="reject")
add_from("two-fields-ours-last", b" mallory@example.org\r\nFrom: alice@example.com", signed=False, answer="reject")
add_from("two-authors", b" alice@example.com, mallory@example.org", signed=False, answer="reject")
add_from("two-strangers", b" a@unlisted.example\r\nFrom: b@unlisted.example", signed=False)

# Fields that look like, or are, signatures of others.
OLD = (b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=old; t=1; h=from:to;\r\n"
       b" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=dGhpcyBpcyBub3QgYSBzaWduYXR1cmU=\r\n")
add("signed-before", OLD + FROM + REST)
add("signed-before-below", FROM + REST + OLD)
add("signed-before-same-domain", OLD.replace(b"example.org", b"example.com") + FROM + REST)
add("signed-before-100", OLD * 100 + FROM + REST)
add("signature-empty", b"DKIM-Signature:\r\n" + FROM + REST)
add("signature-garbage", b"DKIM-Signature: \xff\xfe;;=;b=;b=b;v=2;;;\r\n" + FROM + REST)
add("signature-no-tags", b"DKIM-Signature: hello\r\n" + FROM + REST)
add("signature-unclosed", b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=\r\n" + FROM + REST)
add("signature-huge", b"DKIM-Signature: v=1; z=" + b"A" * 20000 + b"\r\n" + FROM + REST)
add("domainkey-signature", b"DomainKey-Signature: a=rsa-sha1; q=dns; c=nofws; s=x; d=example.org; b=AAAA\r\n" + FROM + REST)
add("authentication-results", b"Authentication-Results: mail.example.com; dkim=pass header.d=example.com\r\n" + FROM + REST)


@dataclasses.dataclass(frozen=True)
class Disagreement:
    samples: str  # pattern of the names
    verifier: str
    canon: str  # pattern of "header/body"
    selector: str  # pattern
    reason: str


# Each row is checked from both sides: the verifier must refuse these, and only these.
# (docs/CANONICALIZATION.md has more of them; these are the ones that the samples meet.)
DISAGREEMENTS = [
    Disagreement("body-(bare-lf|lf-cr|lf-at-end)", "dkimpy", ".*", ".*",
                 "splits the message at LF as well as at CRLF and hashes CRLF where a lone LF stood; RFC 6376 section 3.4.4 "
                 "knows CRLF only"),
]


def disagreement(sample, verifier, canon, selector):
    for row in DISAGREEMENTS:
        if (re.fullmatch(row.samples, sample) and row.verifier == verifier and re.fullmatch(row.canon, canon)
                and re.fullmatch(row.selector, selector)):
            return row
    return None


assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)
