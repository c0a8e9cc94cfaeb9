"""Cases: what a signature looks like and covers. Canonicalization, header lists, lifetime, keys' forms."""
from messages import BODY, DEFAULT, Sent, Setup, author, extra, message

LISTS = tuple((name, f"<mailto:{name}@example.com>") for name in
              ("List-Id", "List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"))
RESENT = (("Resent-Date", "Tue, 24 Nov 2026 11:00:00 +0000"), ("Resent-From", "carol@example.com"),
          ("Resent-Sender", "carol@example.com"), ("Resent-To", "dave@example.net"), ("Resent-Cc", "eve@example.net"))
THREAD = (("In-Reply-To", "<0@example.com>"), ("References", "<0@example.com>"), ("Reply-To", "alice@example.com"),
          ("Cc", "Eve <eve@example.net>"), ("Sender", "alice@example.com"))
MIME = (("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", "8bit"))

CONTENTS = (
    ("plain", message()),
    ("no-space", message(space="")),
    ("two-spaces", message(space="  ")),
    ("tab", message(space="\t")),
    ("folded", extra(("Subject", "one\n two\n\tthree  four \t "), ("Cc", "a@example.net,\n b@example.net"))),
    ("blank-fold", extra(("X-Odd", "one\n \n two"), ("Reply-To", "a@example.com\n  "))),
    ("empty-field", extra(("Cc", ""), ("Reply-To", " "))),
    ("utf8", extra(("Subject", "Grüße \u2603"), *MIME, body="Grüße\r\n".encode())),
    ("latin1", extra(*MIME, body="Gr\xfc\xdfe\r\n".encode("latin-1"))),
    ("empty-body", message(body=b"")),
    ("one-crlf", message(body=b"\r\n")),
    ("many-crlf", message(body=b"\r\n" * 20)),
    ("trailing-lines", message(body=BODY + b"\r\n\r\n\r\n")),
    ("trailing-blanks", message(body=BODY + b" \r\n\t\r\n \t \r\n")),
    ("no-last-crlf", message(body=b"Hello Bob,\r\nbye")),
    ("blanks-only", message(body=b" \t \r\n")),
    ("long-line", message(body=b"x" * 5000 + b" \t y\r\n")),
    ("large", message(body=b"0123456789 abcdef  \r\n" * 10000)),
    ("dots", message(body=b".\r\n..\r\n.x\r\n")),
    ("nul", message(body=b"a\0b\r\n")),
    ("lists", extra(*LISTS)),
    ("resent", extra(*RESENT)),
    ("thread", extra(*THREAD)),
    ("twice", extra(("Subject", "again"), ("To", "carol@example.net"), ("Received", "from a"), ("Received", "from b"))),
    ("case", message((("FROM", "alice@example.com"), ("to", "bob@example.net"), ("sUBJECT", "x")))),
    ("received-first", message((("Received", "from x by y; today"),) + DEFAULT)),
    ("many-fields", extra(*((f"X-Field-{i}", "v" * 40) for i in range(200)))),
    ("author-only", message(DEFAULT[:1])),
)


def all_contents():
    return [Sent(*row) for row in CONTENTS]


def some_contents(*names):
    return [Sent(*row) for row in CONTENTS if row[0] in names]


CANONS = ("simple", "relaxed", "simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed")

# Deltas of the three header lists: name of the case, settings.
HEADER_LISTS = (
    ("sign-plain", {"SignHeaders": "From,To,Subject"}),
    ("sign-without-from", {"SignHeaders": "To,Subject"}),
    ("sign-add", {"SignHeaders": "*,+Message-ID"}),
    ("sign-add-two", {"SignHeaders": "*,+Message-ID,+MIME-Version"}),
    ("sign-add-bare", {"SignHeaders": "*,Message-ID"}),
    ("sign-remove", {"SignHeaders": "*,-Subject"}),
    ("sign-both", {"SignHeaders": "*,-Subject,+Sender"}),
    ("sign-remove-from", {"SignHeaders": "*,-From"}),
    ("sign-spaces", {"SignHeaders": "From, To , Subject"}),
    ("sign-wildcard", {"SignHeaders": "From,X-*"}),
    ("sign-case", {"SignHeaders": "fROM,sUBJECT"}),
    ("omit-plain", {"OmitHeaders": "Subject"}),
    ("omit-add", {"OmitHeaders": "*,+Subject,+List-Id"}),
    ("omit-remove", {"OmitHeaders": "*,-Received"}),
    ("omit-from", {"OmitHeaders": "From"}),
    ("omit-and-sign", {"OmitHeaders": "Subject", "SignHeaders": "From,Subject,To"}),
    ("oversign-none", {"OversignHeaders": "."}),
    ("oversign-two", {"OversignHeaders": "From,Subject"}),
    ("oversign-absent", {"OversignHeaders": "From,Reply-To,Cc"}),
    ("oversign-add", {"OversignHeaders": "*,+Subject"}),
    ("oversign-unsigned", {"OversignHeaders": "From,X-Other"}),
    ("oversign-case", {"OversignHeaders": "fRoM,sUbJeCt"}),
    ("oversign-not-in-sign", {"SignHeaders": "From,To", "OversignHeaders": "From,Subject"}),
)

LOOKS = (
    ("ttl", {"SignatureTTL": "3600"}),
    ("ttl-zero", {"SignatureTTL": "0"}),
    ("ttl-octal", {"SignatureTTL": "010"}),
    ("ttl-hex", {"SignatureTTL": "0x100"}),
    ("diagnostics", {"Diagnostics": "yes"}),
    ("request-reports", {"RequestReports": "yes"}),
    ("algorithm", {"SignatureAlgorithm": "rsa-sha256"}),
    ("quiet", {"SyslogSuccess": "no"}),
    ("no-why", {"LogWhy": "no"}),
    ("results", {"LogResults": "yes"}),
    ("no-oversign-setting", {"OversignHeaders": None}),
    ("software-header", {"SoftwareHeader": "yes"}),
    ("old-software-header", {"X-Header": "yes"}),
    ("remove-old", {"RemoveOldSignatures": "yes"}),
    ("signed-bytes", {"MaximumSignedBytes": "10"}),
    ("signed-bytes-more", {"MaximumSignedBytes": "100000"}),
    ("fix-crlf", {"FixCRLF": "yes"}),
    ("keep-results", {"KeepAuthResults": "yes"}),
)

OLD = ("DKIM-Signature", "v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=old;\n\tt=1; bh=AAAA; h=From; b=AAAA")
RESULTS = ("Authentication-Results", "mail.example.com; dkim=pass header.d=example.org")
CARRIED = (
    ("signed-before", extra(OLD)),
    ("signed-twice-before", extra(OLD, ("X-Between", "x"), OLD)),
    ("results-before", extra(RESULTS)),
    ("filter-before", extra(("DKIM-Filter", "Other v1 host id"))),
)

SELECT = (
    ("relaxed", author("alice@example.com", ("X-Canonicalization", "relaxed/relaxed"))),
    ("one-word", author("alice@example.com", ("X-Canonicalization", "relaxed"))),
    ("nonsense", author("alice@example.com", ("X-Canonicalization", "odd/even"))),
    ("absent", message()),
)


LONE = (
    ("lf", b"one\ntwo\n"),
    ("cr", b"one\rtwo\r\n"),
    ("mixed", b"one\r\n\rtwo\n\r\nthree\r\n"),
    ("only-lf", b"\n\n\n"),
    ("no-end", b"one\ntwo"),
)


def setups():
    for canon in CANONS:
        yield Setup("canon-" + canon.replace("/", "-"), {"Canonicalization": canon}, all_contents())
    for name, settings in HEADER_LISTS:
        yield Setup(name, settings, some_contents("plain", "twice", "thread", "lists", "case"))
    for name, settings in LOOKS:
        yield Setup(name, settings, some_contents("plain", "folded", "empty-body") + [Sent(*row) for row in CARRIED])
    yield Setup("fix-crlf-bodies", {"FixCRLF": "yes"}, [Sent(name, message(body=body)) for name, body in LONE])
    yield Setup("select-canonicalization", {"SelectCanonicalizationHeader": "X-Canonicalization"},
                [Sent(*row) for row in SELECT])
