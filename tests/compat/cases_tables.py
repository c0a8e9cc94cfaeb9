"""Cases: KeyTable and SigningTable. Forms, look-up order, % rules, several signatures, keys that fail."""
from messages import Sent, Setup, author, message
from cases_policy import from_each

ADDRESSES = ("alice@example.com", "Alice@Example.COM", "bob@example.com", "alice@sub.example.com",
             "bob@deep.sub.example.com", "alice@example.org", "carol@example.org", "x@other.example", "postmaster@com")

KEYS = ("one example.com:s1:{dir}/key.pem\ntwo example.com:s2:{dir}/key.pem\nthree example.com:s3:{dir}/key.pem\n"
        "sub sub.example.com:s4:{dir}/key.pem\norg example.org:s5:{dir}/key.pem\nany %:s6:{dir}/key.pem\n")

# Rows of a SigningTable: each is run as file: and, where its patterns make sense there, as refile: and csl:
SIGNING = (
    ("address", "alice@example.com one\n"),
    ("domain", "example.com one\n"),
    ("address-and-domain", "alice@example.com two\nexample.com one\n"),
    ("domain-and-address", "example.com one\nalice@example.com two\n"),
    ("parent", ".example.com one\n"),
    ("parent-user", "alice@.example.com one\n.example.com two\n"),
    ("top", ".com one\n"),
    ("user-star", "alice@* any\n"),
    ("star", "* any\n"),
    ("star-last", "example.org org\n* any\n"),
    ("star-first", "* any\nexample.org org\n"),
    ("star-at", "*@example.com one\n"),
    ("star-at-sub", "*@*.example.com sub\n*@example.com one\n"),
    ("user-percent", "example.com one:%\n" ),
    ("signer", "example.com one:robot@example.com\n"),
    ("signer-percent", "example.com one:robot@%\n"),
    ("signer-sub", "example.com one:robot@news.example.com\n"),
    ("signer-foreign", "example.com one:robot@example.net\n"),
    ("signer-domain", "example.com one:@example.com\n"),
    ("upper", "ALICE@EXAMPLE.COM one\n"),
    ("case-of-key", "example.com One\n"),
    ("unknown-key", "example.com nosuch\nexample.org org\n"),
    ("twice", "example.com one\nexample.com two\n"),
    ("empty", "# nothing\n\n"),
    ("comment", "example.com one # the first\n#example.org org\n"),
    ("tabs", "example.com\t\t one  \n  example.org org\n"),
    ("percent-name", "example.com %\n"),
    ("crlf", "example.com one\r\nexample.org org\r\n"),
    ("no-end", "example.com one"),
)
PATTERNS = (
    ("all", "* any\n"),
    ("domain", "*@example.com one\n"),
    ("order", "*@*.example.com sub\n*@example.com one\nalice@example.com two\n"),
    ("first", "alice@example.com two\n*@example.com one\n"),
    ("user", "alice@* any\n"),
    ("local-star", "a*@example.com one\n"),
    ("middle", "*@*.sub.* any\n"),
    ("dot", "*@example.com one\n*@exampleXcom two\n"),
    ("group", "*@(example|other).(com|example) any\n"),
    ("class", "[ab]*@example.com one\n"),
    ("plain-domain", "example.com one\n"),
    ("upper", "*@EXAMPLE.COM one\n"),
    ("signer", "*@example.com one:robot@%\n"),
    ("unknown", "*@example.com nosuch\n"),
    ("plus", "alice+tag@example.com one\n*@example.org org\n"),
)
KEY_TABLES = (
    ("percent", "k %:sel:{dir}/key.pem\n"),
    ("percent-path", "k %:sel:{dir}/%.pem\n"),
    ("percent-path-fixed", "k example.com:sel:{dir}/%.pem\n"),
    ("fixed", "k example.com:sel:{dir}/key.pem\n"),
    ("foreign", "k example.net:sel:{dir}/key.pem\n"),
    ("missing-file", "k example.com:sel:{dir}/nosuch.pem\n"),
    ("empty-file", "k example.com:sel:{dir}/empty.pem\n"),
    ("garbage-file", "k example.com:sel:{dir}/garbage.pem\n"),
    ("public-key", "k example.com:sel:{dir}/public.pem\n"),
    ("der-text", "k example.com:sel:{der}\n"),
    ("bare-name", "k example.com:sel:key.pem\n"),
    ("two-fields", "k example.com:sel\n"),
    ("one-field", "k example.com\n"),
    ("empty-domain", "k :sel:{dir}/key.pem\n"),
    ("empty-selector", "k example.com::{dir}/key.pem\n"),
    ("spaces", "k   example.com:sel:{dir}/key.pem   \n"),
    ("comment", "k example.com:sel:{dir}/key.pem # good\n"),
    ("twice", "k example.com:sel:{dir}/key.pem\nk example.com:two:{dir}/key.pem\n"),
    ("fourth-field", "k example.com:sel:{dir}/key.pem:rsa-sha256\n"),
    ("small-key", "k example.com:sel:{dir}/small.pem\n"),
    ("selector-dots", "k example.com:2026.nov:{dir}/key.pem\n"),
    ("upper-domain", "k EXAMPLE.com:Sel:{dir}/key.pem\n"),
)
ACTIONS = ("accept", "a", "discard", "d", "quarantine", "q", "reject", "r", "tempfail", "t")


def tables(name, keys, signing, messages, prefix="file:", key_prefix="", **settings):
    return Setup(name, {"KeyTable": key_prefix + "{dir}/KeyTable", "SigningTable": prefix + "{dir}/SigningTable",
                        **settings}, messages, {"KeyTable": keys, "SigningTable": signing}, base="tables")


def failing():
    """Keys that cannot be used, and each action: by On-InternalError and by On-Default."""
    for action in ACTIONS:
        for setting in ("On-InternalError", "On-Default", "On-SignatureError"):
            yield tables(f"{setting.lower()}-{action}", "k example.com:sel:{dir}/nosuch.pem\n", "example.com k\n",
                         [Sent("missing-key")], **{setting: action})


def setups():
    for name, rows in SIGNING:
        yield tables("signing-file-" + name, KEYS, rows, from_each(ADDRESSES))
    for name, rows in SIGNING[:6]:
        yield tables("signing-path-" + name, KEYS, rows, from_each(ADDRESSES), prefix="")
        csl = ",".join("=".join(line.split()) for line in rows.splitlines())
        yield Setup("signing-csl-" + name, {"KeyTable": "{dir}/KeyTable", "SigningTable": csl},
                    from_each(ADDRESSES), {"KeyTable": KEYS}, base="tables")
    for name, rows in PATTERNS:
        yield tables("signing-refile-" + name, KEYS, rows, from_each(ADDRESSES + ("alice+tag@example.com",)),
                     prefix="refile:")
    for name, rows in KEY_TABLES:
        yield tables("key-" + name, rows, "* k\n", from_each(ADDRESSES[:1] + ADDRESSES[5:6]))
    yield tables("key-refile", KEYS, "example.com one\n", from_each(ADDRESSES), key_prefix="refile:")
    yield tables("key-csl", "", "example.com one\n", from_each(ADDRESSES),
                 KeyTable="csl:one=example.com:s1:{dir}/key.pem")
    for prefix, rows in (("file:", "example.com one\nalice@example.com two\n.com three\n* any\n"),
                         ("file:", "example.com one\nalice@example.com two\n"),
                         ("refile:", "*@example.com one\nalice@* two\n"),
                         ("refile:", "*@example.com one\nalice@* two\n*.com three\n")):
        name = f"multiple-{prefix[:-1]}-{len(rows.splitlines())}"
        yield tables(name, KEYS, rows, from_each(ADDRESSES), prefix=prefix, MultipleSignatures="yes")
    yield tables("multiple-same-key", KEYS, "example.com one\nalice@example.com one\n", from_each(ADDRESSES),
                 MultipleSignatures="yes")
    yield from failing()
    yield tables("tables-and-domain", KEYS, "example.com one\n", from_each(ADDRESSES), Domain="example.org",
                 Selector="other")
    yield Setup("keytable-only", {"KeyTable": "{dir}/KeyTable", "Domain": "example.com"}, [Sent("plain", message())],
                {"KeyTable": KEYS}, base="tables")
    yield Setup("signingtable-only", {"SigningTable": "{dir}/SigningTable"}, [Sent("plain", author("a@example.com"))],
                {"SigningTable": "example.com one\n"}, base="tables")
    yield Setup("no-keys", {}, [Sent("plain", message())], base="tables")
