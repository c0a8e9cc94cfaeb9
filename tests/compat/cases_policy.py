"""Cases: who is signed. Authors, hosts, macros, recipients, tables, and what happens when signing fails."""
from messages import DEFAULT, Sent, Setup, author, envelope, extra, message

# Values of From, in the forms that senders find.
AUTHORS = (
    ("bare", "alice@example.com"),
    ("angle", "<alice@example.com>"),
    ("upper", "ALICE@EXAMPLE.COM"),
    ("quoted-name", '"Smith, Alice" <alice@example.com>'),
    ("quoted-at", '"bob@example.org" <alice@example.com>'),
    ("quoted-local", '"a b"@example.com'),
    ("quoted-escape", '"a\\"b"@example.com'),
    ("comment", "alice@example.com (Alice)"),
    ("comment-first", "(Alice) alice@example.com"),
    ("comment-inside", "Alice (of (deep) things) <alice@example.com>"),
    ("comment-in-address", "<alice(x)@example.com>"),
    ("comment-at", "Alice (bob@example.org) <alice@example.com>"),
    ("spaces", "  Alice   <alice@example.com>  "),
    ("spaces-in-address", "alice @ example.com"),
    ("folded", "Alice\n <alice@example.com>"),
    ("plus", "alice+tag@example.com"),
    ("dots", "a.l.i.c.e@example.com"),
    ("sub", "alice@sub.example.com"),
    ("other", "carol@example.org"),
    ("dot-end", "alice@example.com."),
    ("literal", "alice@[127.0.0.1]"),
    ("no-domain", "alice"),
    ("at-end", "alice@"),
    ("at-first", "@example.com"),
    ("empty", ""),
    ("blank", "   "),
    ("angle-empty", "<>"),
    ("name-only", "Alice Smith"),
    ("encoded", "=?utf-8?q?Gr=C3=BC=C3=9Fe?= <alice@example.com>"),
    ("utf8-name", "Grüße <alice@example.com>"),
    ("utf8-local", "grüße@example.com"),
    ("utf8-domain", "alice@bücher.example"),
    ("route", "<@a.example,@b.example:alice@example.com>"),
    ("group", "Friends: alice@example.com;"),
    ("group-empty", "undisclosed-recipients:;"),
    ("group-two", "Friends: alice@example.com, bob@example.com;"),
    ("two", "alice@example.com, bob@example.com"),
    ("two-other-first", "carol@example.org, alice@example.com"),
    ("two-other-last", "alice@example.com, carol@example.org"),
    ("two-others", "carol@example.org, dave@example.org"),
    ("unclosed-quote", '"Alice <alice@example.com>'),
    ("unclosed-comment", "(Alice <alice@example.com>"),
    ("unclosed-angle", "Alice <alice@example.com"),
    ("angle-only-close", "alice@example.com>"),
    ("two-at", "alice@x@example.com"),
    ("semicolon", "alice@example.com;"),
    ("comma-end", "alice@example.com,"),
    ("comma-first", ", alice@example.com"),
)
WHOLE = (
    ("no-from", author(None)),
    ("two-from", extra(("From", "bob@example.com"))),
    ("two-from-other-first", message((("From", "carol@example.org"),) + DEFAULT)),
    ("two-from-other-last", extra(("From", "carol@example.org"))),
    ("two-from-others", message((("From", "carol@example.org"), ("From", "dave@example.org")) + DEFAULT[1:])),
    ("sender-too", extra(("Sender", "carol@example.org"))),
    ("resent-too", extra(("Resent-From", "carol@example.org"))),
    ("only-sender", author(None, ("Sender", "alice@example.com"))),
    ("nothing", message((), b"")),
)


def authors():
    return [Sent("from-" + name, author(value)) for name, value in AUTHORS] + [Sent(*row) for row in WHOLE]


def from_each(addresses):
    return [Sent(address.replace("@", "-at-"), author(address)) for address in addresses]

# Header fields that are there too often, or not at all, for StrictHeaders.
MORE_COUNTS = (
    ("two-in-reply-to", extra(("In-Reply-To", "<a@b>"), ("In-Reply-To", "<a@b>"))),
    ("two-resent-from", extra(("Resent-From", "a@example.com"), ("Resent-From", "b@example.com"))),
    ("two-from-other-first", message((("From", "carol@example.org"),) + DEFAULT)),
    ("two-everything", message(DEFAULT + DEFAULT[1:])),
    ("not-ours-two-subject", message((("From", "carol@example.org"),) + DEFAULT[1:] + (("Subject", "again"),))),
    ("bad-from", author("Alice Smith")),
    ("no-local", author("@example.com")),
    ("no-domain", author("alice")),
)
STRICT = (
    ("headers", {}),
    ("reject", {"On-Default": "reject"}),
    ("required", {"RequiredHeaders": "yes"}),
    ("both-modes", {"Mode": "sv"}),
)

CLIENTS = (
    ("loopback", {}),
    ("loopback6", {"host": "localhost", "address": "::1"}),
    ("unix", {"address": ""}),
    ("in-10", {"host": "a.inside.example", "address": "10.1.2.3"}),
    ("in-192", {"host": "b.inside.example", "address": "192.0.2.77"}),
    ("out", {"host": "mx.outside.example", "address": "198.51.100.7"}),
    ("name-in", {"host": "relay.partner.example", "address": "203.0.113.9"}),
    ("name-upper", {"host": "Relay.Partner.Example", "address": "203.0.113.9"}),
    ("name-bare", {"host": "partner.example", "address": "203.0.113.10"}),
    ("literal-name", {"host": "[203.0.113.11]", "address": "203.0.113.11"}),
    ("in6", {"host": "six.example", "address": "2001:db8::17"}),
    ("out6", {"host": "seven.example", "address": "2001:db9::17"}),
    ("authenticated", {"host": "mx.outside.example", "address": "198.51.100.7", "auth_type": "PLAIN"}),
    ("authenticated-empty", {"host": "mx.outside.example", "address": "198.51.100.7", "auth_type": ""}),
)


def clients(*domains):
    for domain in domains or ("example.com", "example.org"):
        for name, values in CLIENTS:
            yield Sent(f"{name}-{domain}", author("alice@" + domain), envelope(**values))


HOSTS = (
    ("address", "10.1.2.3"),
    ("block", "10.0.0.0/8"),
    ("block-24", "192.0.2.0/24"),
    ("block-32", "192.0.2.77/32"),
    ("block6", "csl:2001:db8::/32"),
    ("address6", "csl:2001:db8::17"),
    ("brackets", "[10.1.2.3]"),
    ("name", "relay.partner.example"),
    ("suffix", ".partner.example"),
    ("negated-address", "10.0.0.0/8,!10.1.2.3"),
    ("negated-block", "10.0.0.0/8,!10.1.0.0/16"),
    ("negated-name", ".partner.example,!relay.partner.example"),
    ("all4", "0.0.0.0/0"),
    ("many", "127.0.0.1,::1,10.0.0.0/8,192.0.2.77,.partner.example"),
    ("file", "{dir}/hosts"),
    ("file-prefix", "file:{dir}/hosts"),
    ("refile", "refile:{dir}/hosts"),
    ("pattern", "refile:{dir}/patterns"),
)
HOSTS_FILES = {"hosts": "# ours\n127.0.0.1\n::1\nlocalhost\n\n10.0.0.0/8  # the inside\n.partner.example\n",
               "patterns": "*.inside.example\n10.1.*\n"}

MACROS = (
    ("none", {}),
    ("mta", {"daemon_name": "ORIGINATING"}),
    ("mta-case", {"daemon_name": "originating"}),
    ("auth", {"auth_type": "PLAIN"}),
    ("set", {"verify": "OK"}),
    ("other-value", {"verify": "FAIL"}),
    ("third-value", {"verify": "NO"}),
    ("empty", {"verify": ""}),
    ("letter", {"r": "ESMTP"}),
)
MACRO_SETTINGS = (
    ("mta", {"MTA": "ORIGINATING"}),
    ("mta-list", {"MTA": "x,ORIGINATING,y"}),
    ("macro", {"MacroList": "verify"}),
    ("macro-value", {"MacroList": "verify=OK"}),
    ("macro-values", {"MacroList": "verify=YES|OK|NO"}),
    ("macro-brace", {"MacroList": "{verify}"}),
    ("macro-letter", {"MacroList": "r"}),
    ("macro-two", {"MacroList": "nosuch,verify=OK"}),
    ("macro-auth", {"MacroList": "auth_type"}),
    ("both", {"MTA": "ORIGINATING", "MacroList": "verify"}),
    ("macro-file", {"MacroList": "file:{dir}/macros"}),
)


def with_macros():
    for name, values in MACROS:
        yield Sent(name, message(), envelope(host="mx.outside.example", address="198.51.100.7", **values))
    yield Sent("inside", message())


SENDER_MACRO = (
    ("address", message(), envelope(author="alice@example.com")),
    ("other-domain", message(), envelope(author="eve@example.org")),
    ("in-angles", author("eve@example.org"), envelope(author="Alice <alice@example.com>")),
    ("from-of-others", author("eve@example.org"), envelope(author="alice@example.com")),
    ("not-sent", message(), envelope()),
    ("not-sent-others", author("eve@example.org"), envelope()),
    ("no-address", message(), envelope(author="nonsense")),
)

# What RFC 5322 asks for.
COUNTS = (
    ("good", message()),
    ("no-date", message(DEFAULT[:3] + DEFAULT[4:])),
    ("no-id", message(DEFAULT[:4])),
    ("two-subjects", extra(("Subject", "again"))),
    ("two-tos", extra(("To", "more@example.net"))),
    ("two-dates", extra(("Date", "Tue, 24 Nov 2026 10:00:00 +0000"))),
    ("two-senders", extra(("Sender", "a@example.com"), ("Sender", "b@example.com"))),
    ("two-ids", extra(("Message-ID", "<2@example.com>"))),
    ("two-bccs", extra(("Bcc", "a@example.com"), ("Bcc", "b@example.com"))),
    ("two-reply-tos", extra(("Reply-To", "a@example.com"), ("Reply-To", "b@example.com"))),
    ("two-comments", extra(("Comments", "a"), ("Comments", "b"))),
)

RECIPIENTS = (
    ("one", ("bob@example.net",)),
    ("upper", ("Bob@Example.NET",)),
    ("other", ("carol@example.net",)),
    ("second", ("carol@example.net", "bob@example.net")),
    ("domain", ("x@lists.example",)),
    ("extension", ("bob+tag@example.net",)),
)


def to_each():
    return [Sent("to-" + name, message(), envelope(recipients=who)) for name, who in RECIPIENTS]


DOMAINS = ("alice@example.com", "alice@Example.COM", "alice@sub.example.com", "alice@a.sub.example.com",
           "alice@notexample.com", "alice@com", "alice@example.org", "alice@xexample.com")

SENDERS = (
    ("both", extra(("Sender", "carol@example.org"))),
    ("both-reversed", author("carol@example.org", ("Sender", "alice@example.com"))),
    ("only-from", message()),
    ("only-sender", author(None, ("Sender", "alice@example.com"))),
    ("resent", author("carol@example.org", ("Resent-From", "alice@example.com"))),
    ("bad-sender", extra(("Sender", "nobody"))),
    ("neither", author(None)),
)


def setups():
    yield Setup("authors", {}, authors())
    yield Setup("authors-star", {"Domain": "*"}, authors())
    for name, value in HOSTS:
        yield Setup("internal-" + name, {"InternalHosts": value}, list(clients("example.com")), HOSTS_FILES)
    for name, value in HOSTS[:2] + HOSTS[8:9] + HOSTS[13:15]:
        yield Setup("peer-" + name, {"PeerList": value}, list(clients("example.com")), HOSTS_FILES)
        yield Setup("ignore-" + name, {"ExternalIgnoreList": value}, list(clients("example.com")), HOSTS_FILES)
    yield Setup("hosts-default", {}, list(clients()))
    for name, settings in MACRO_SETTINGS:
        yield Setup("macros-" + name, settings, list(with_macros()), {"macros": "nosuch\nverify OK|NO\n"})
    for name, value in (("braces", "{author}"), ("plain", "author")):
        yield Setup("sender-macro-" + name, {"SenderMacro": value}, [Sent(*row) for row in SENDER_MACRO])
    for name, value in (("exact", "bob@example.net"), ("star", "*@lists.example"), ("file", "file:{dir}/recipients"),
                        ("refile", "refile:{dir}/recipients")):
        yield Setup("body-length-" + name, {"BodyLengthDB": value}, to_each(), {"recipients": "*@lists.example\nbob@example.net\n"})
    yield Setup("body-length-most", {"BodyLengthDB": "bob@example.net", "MaximumSignedBytes": "5"}, to_each())
    yield Setup("required-headers", {"RequiredHeaders": "yes"}, [Sent(*row) for row in COUNTS])
    for name, settings in STRICT:
        yield Setup("strict-" + name, {"StrictHeaders": "yes", **settings}, [Sent(*row) for row in COUNTS + MORE_COUNTS])
    for name, value in (("exact", "bob@example.net"), ("list", "x@y.example,bob@example.net"),
                        ("domain", "lists.example"), ("star", "*@lists.example"),
                        ("refile", "refile:{dir}/recipients"), ("file", "file:{dir}/recipients")):
        yield Setup("dont-sign-" + name, {"DontSignMailTo": value}, to_each(),
                    {"recipients": "*@lists.example\nbob@example.net\n"})
    for name, value in (("one", "example.org"), ("sub", ".example.com"), ("list", "x.example, example.com"),
                        ("file", "{dir}/exempt")):
        yield Setup("exempt-" + name, {"Domain": "*", "ExemptDomains": value}, from_each(DOMAINS),
                    {"exempt": "example.org\nsub.example.com\n"})
    for name, settings in (("one", {}), ("list", {"Domain": "example.org,example.com"}), ("star", {"Domain": "*"}),
                           ("upper", {"Domain": "EXAMPLE.COM"}), ("refile", {"Domain": "refile:{dir}/domains"}),
                           ("file", {"Domain": "file:{dir}/domains"}), ("sub", {"SubDomains": "yes"}),
                           ("sub-list", {"SubDomains": "yes", "Domain": "com,sub.example.com"}),
                           ("dot", {"Domain": ".example.com"}),
                           ("sub-star", {"SubDomains": "yes", "Domain": "*"})):
        yield Setup("domain-" + name, settings, from_each(DOMAINS), {"domains": "example.com\n*.example.com\n"})
    for name, value in (("from", "From"), ("sender-first", "Sender,From"), ("sender", "Sender"),
                        ("resent", "Resent-From,Sender,From"), ("case", "sEnDeR,fRoM")):
        yield Setup("senders-" + name, {"SenderHeaders": value}, [Sent(*row) for row in SENDERS])
    for mode in ("s", "v", "sv", "vs"):
        yield Setup("mode-" + mode, {"Mode": mode}, list(clients()) + [Sent("no-from", author(None))])
