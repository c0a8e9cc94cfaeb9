"""The accepted differences between OpenDKIM and hsmdkim: the one table that the compatibility test reads.

Each row names the row of docs/OPENDKIM.md (its first column) that gives the reason. A row that no case needs fails the
test, so that a difference that was mended leaves the table.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    case: str  # pattern, matches the whole of "setup/message"
    aspect: str  # pattern, matches the whole of the aspect's name
    documented: str  # first column of a row in docs/OPENDKIM.md
    ours: str = r".*"  # pattern, found in what hsmdkim has
    may_be_unused: bool = False  # depends on the build of OpenDKIM, or on what is not finished


SIGNED = "signatures|tags|layout|valid|places|log"
REFUSED = SIGNED + "|answer|reply"
NO_AUTHOR = "a From field that cannot be parsed, or none"
SEVERAL = "several From fields, one of them of a domain that is signed, from a host of ours"
SEVERAL_IN_ONE = "several authors in one From field"
MISSING = "key that is not there, unsafe, or not in the KeyTable"
STRICT = "`StrictHeaders`"
TEST = "`-t`"
OPTION = "an option that is wrong, or does nothing"
WORDS = r"dkim=(permerror|policy)|body hash did not verify|timestamp|; testing\)|too small"

ACCEPTED = (
    # Configuration that one of them refuses.
    Row("signing-(file-user-percent|file-case-of-key|file-unknown-key|refile-unknown)|conf-tables-unknown-key",
        "configuration", "key name that is not in the KeyTable"),
    Row("key-bare-name", "configuration", "key that is a bare file name (`k.pem`)"),
    Row("key-(two-fields|one-field|empty-domain|empty-selector)", "configuration",
        "bad domain or selector in a row"),
    Row("key-twice", "configuration", "name that stands twice in the KeyTable"),
    Row("conf-tables-refile-no-key", "configuration", "row without a value where one is needed"),
    Row("conf-tables-signer-no-at", "configuration", "signer without `@`"),
    Row("conf-sign-without-domain", "configuration", "`KeyFile` without `Domain`"),
    Row("conf-key-garbage", "configuration", "`KeyFile` that holds no usable key: empty, the record, a passphrase, another type, "
                                             "smaller than `MinimumKeyBits`"),
    Row("line-(int-negative|ttl-negative)", "configuration", "integers out of range, `MinimumKeyBits 99999999999`"),
    Row("line-autorestart-rate-(bad|unit)", "configuration", "`AutoRestartRate` that is no rate"),
    Row("line-action-(default-)?bad", "configuration", "a word that is not allowed (`On-BadSignature bogus`)"),
    Row("line-facility-bad", "configuration", "`SyslogFacility nosuch`"),
    Row("line-mode-upper", "configuration", "`Mode SV`"),
    Row("line-removed-(adsp|keylist)", "configuration", "names removed in 2.10 (`ADSPAction`, …)"),
    Row("line-hosts-host-bits", "configuration", "block with bits behind the prefix, `10.0.0.1/8`"),
    Row("line-resolver-missing", "configuration", "`ResolverConfiguration` that names no file, with `-n`"),
    Row("line-macro-list-refile", "configuration", "`MacroList refile:…`"),
    Row("line-lua", "configuration",
        "names for functions that hsmdkim does not have (Lua, LDAP, statistics, VBR, reputation, …)"),

    # What is signed.
    Row("canon-(simple|relaxed)-relaxed/no-last-crlf", SIGNED, "last line of the body without CRLF, relaxed"),
    Row("sign-add-bare/.*", SIGNED, "`*,Name` without a sign in a list of header fields"),
    Row("omit-from/.*", SIGNED + "|results", "`OmitHeaders From`"),
    Row("oversign-none/.*", SIGNED, "`OversignHeaders .`"),
    Row("oversign-add/.*", SIGNED, "`OversignHeaders *,+Name`"),
    Row("oversign-not-in-sign/.*", SIGNED, "`OversignHeaders` that names a field that is not signed"),
    Row("no-oversign-setting/.*", SIGNED, "`OversignHeaders`"),

    # The author.
    Row("authors(-star)?/from-(spaces-in-address|dot-end)", SIGNED,
        "author address with blanks around the `@`, or a dot at its end"),
    Row("authors(-star)?/from-(at-first|unclosed-angle|two-at|semicolon|angle-only-close)", SIGNED + "|other changes",
        "author address that RFC 5322 does not allow"),
    Row(".*/(from-.*|no-from|nothing|only-sender|neither|bad-sender)", "results", NO_AUTHOR),
    Row("senders-.*/(only-sender|neither)", "log", NO_AUTHOR),
    Row("authors(-star)?/(from-two.*|from-group-two)", REFUSED, SEVERAL_IN_ONE),
    Row("authors(-star)?/two-from.*", REFUSED, SEVERAL),
    Row("authors-star/from-utf8-domain", REFUSED, "author domain with bytes above 127"),
    Row("authors(-star)?/from-literal", SIGNED, "address literal, `alice@[192.0.2.1]`"),

    # How often header fields may be there.
    Row("strict-.*/.*", "log", STRICT, r"not (signed|verified) \(StrictHeaders\)"),
    Row("strict-(headers|reject|required)/.*", "results", STRICT, r"^\[\]$"),
    Row("verify-strict.*/forged-.*", "other changes", STRICT),
    Row("strict-.*/two-from-other-first", "answer|reply|log", SEVERAL),
    Row("strict-.*/no-local", SIGNED + "|results", "author address that RFC 5322 does not allow"),
    Row("strict-required/.*", "answer|reply|log", "`RequiredHeaders`"),
    Row("verify-strict-software/.*", "other changes", "`SoftwareHeader`"),

    # -t and the other options.
    Row("test-sign-.*(two-from).*", "status|output|errors", SEVERAL),
    Row("test-.*-no-from-.*|test-verify-(empty|no-header)-.", "output|errors|status", TEST),
    Row("test-sign-foreign-.", "status|output|errors", TEST),
    Row("test-verify-(malformed|fold-first)-.", "errors", TEST),
    Row("test-verify-garbage-.", "status|output|errors", TEST),
    Row("test-.*-long-line-2", "errors", TEST),
    Row("test-reject", "output", TEST),
    Row("test-data-.*", "output", TEST),
    Row("test-sign-with-remove", "output", "`RemoveOldSignatures`"),
    Row("test-sign-with-z", "output", "`z=`"),
    Row("test-(verify-.*|several|reject|peer)", "output", "words of a result that is not a pass", WORDS),
    Row("option-[bcFkLSTu]-(bad|negative|missing|unknown)", "errors|status|output", OPTION),
    Row("option-(F-without-t|v-without-t|X)", "errors", OPTION),
    Row("option-(unknown|word|no-argument|empty-.|x-missing)", "errors", OPTION),
    Row("option-(F-without-t|v-without-t|X|n|p|P|x-missing)", "output|errors", "`-n`"),
    Row("option-U", "output|errors|status", OPTION),
    Row("option-V", "output", "`-V`"),
    Row("option-e(-unset|-unknown)?", "output|errors|status", "`-e`"),
    Row("option-Q", "output|errors|status", "`-Q`"),

    # Where it comes from.
    Row("internal-brackets/in-10-.*", SIGNED, "address in brackets, `[10.1.2.3]`",
        may_be_unused=True),
    Row("internal-pattern/in-192-.*", SIGNED, "`*` in `refile:`", may_be_unused=True),
    Row("internal-negated-.*", "log", "`not internal` with `LogWhy`"),
    Row("peer-.*/name-upper-.*", "log", "host name in the log, with `PeerList`"),
    Row("macros-macro-brace/.*", SIGNED, "`MacroList {name}`"),

    # Tables.
    Row("key-der-text/.*", REFUSED, "lines above 1023 bytes"),
    Row("key-fourth-field/.*", REFUSED, "fourth field, `:rsa-sha256`"),
    Row("multiple-(file-4|refile-3)/.*", SIGNED, "`MultipleSignatures` with three matches or more"),
    Row("multiple-same-key/.*", SIGNED, "`MultipleSignatures`, several rows of one address in `file:`"),

    # Keys that cannot be used.
    Row("signing-file-percent-name/.*", "reply|log", MISSING, r"451 4.7.0 internal DKIM error|cannot sign: .*; deferred"),
    Row("key-(missing-file|percent-path)/.*", "reply|log", MISSING, r"451 4.7.0 internal DKIM error|cannot sign: .*; deferred"),
    Row("on-.*/missing-key", "reply|log", MISSING, r"451 4.7.0 internal DKIM error|cannot sign: .*; deferred"),
    Row("key-(empty-file|garbage-file|public-key)/.*", "reply|log", "key that is unusable",
        r"451 4.7.0 internal DKIM error|cannot sign: .*; deferred"),
    Row("key-small-key/.*", REFUSED, "key smaller than `MinimumKeyBits`"),

    # Verifying.
    Row("verify-redirect/.*", "other changes", "`RedirectFailuresTo`"),
    Row("verify.*", "log", "log lines of verifying"),
    Row("mode-(v|sv|vs)/.*", "log", "log lines of verifying"),
    Row("verify.*/identity-utf8(-mapped)?", "results", "signature with UTF-8 in `d=`, `s=` or `i=`",
        r'dkim=(pass|permerror reason="identity tag invalid")'),
    Row("verify.*/key-small-order", "results", "Ed25519 key of small order", r"dkim=permerror"),
    Row("verify.*", "results", "words of a result that is not a pass",
        r'dkim=(permerror|policy)|body hash did not verify|timestamp|; testing\)'),
    Row("verify-job/.*", "results", "`AuthservIDWithJobID`"),
    Row("verify-(forged.*|ar-all|ar-keep)/forged-(dot|broken|case)", "other changes", "forged Authentication-Results fields"),
    Row("verify-ar-(from|suffix)/.*", "other changes", "`RemoveARFrom`"),
    Row("verify-on-.*-quarantine/.*", "quarantine", "an On- setting that says `quarantine`"),

    # What is written.
    Row("(old-)?software-header/.*", "other changes", "`SoftwareHeader`"),
    Row("remove-old/.*", "places|other changes", "`RemoveOldSignatures`"),
    Row("select-canonicalization/.*", SIGNED, "`SelectCanonicalizationHeader`"),
    Row("sender-macro-plain/.*", SIGNED + "|results", "`SenderMacro name`"),
    Row("sender-macro-(braces|plain)/no-address", "results|other changes", NO_AUTHOR),
)
