"""Cases that only read a configuration: syntax, value forms, names, data sets. Compared: exit status of -n."""
import dataclasses

KEY = "Domain example.com\nSelector sel\nKeyFile {dir}/key.pem\nRequireSafeKeys no\n"


@dataclasses.dataclass
class Text:
    name: str
    text: str
    files: dict = dataclasses.field(default_factory=dict)


# Lines behind a configuration that is good.
LINES = (
    ("blank", "\n  \n\t\n"),
    ("comment", "# LogWhy maybe\n   # and more\n"),
    ("comment-behind", "LogWhy yes # why not\n"),
    ("comment-no-blank", "LogWhy yes#no\n"),
    ("case", "logwhy yes\nLOGRESULTS no\n"),
    ("tab", "LogWhy\tyes\n"),
    ("blanks", "   LogWhy    yes   \n"),
    ("crlf", "LogWhy yes\r\nLogResults no\r\n"),
    ("no-value", "LogWhy\n"),
    ("two-words", "LogWhy yes no\n"),
    ("equals", "LogWhy=yes\n"),
    ("twice", "Canonicalization simple\nCanonicalization relaxed/relaxed\n"),
    ("unknown", "NoSuchThing yes\n"),
    ("unknown-near", "Canonicalisation relaxed\n"),
    ("bool-true", "LogWhy true\n"),
    ("bool-one", "LogWhy 1\n"),
    ("bool-on", "LogWhy on\n"),
    ("bool-y", "LogWhy y\n"),
    ("bool-yup", "LogWhy yup\n"),
    ("bool-off", "LogWhy off\n"),
    ("bool-false", "LogWhy False\n"),
    ("bool-n", "LogWhy N\n"),
    ("bool-zero", "LogWhy 0\n"),
    ("bool-maybe", "LogWhy maybe\n"),
    ("int", "DNSTimeout 10\n"),
    ("int-hex", "DNSTimeout 0x10\n"),
    ("int-octal", "DNSTimeout 010\n"),
    ("int-text", "DNSTimeout ten\n"),
    ("int-half", "DNSTimeout 10x\n"),
    ("int-negative", "DNSTimeout -1\n"),
    ("umask", "UMask 007\n"),
    ("umask-bad", "UMask 9\n"),
    ("canon-bad", "Canonicalization strict\n"),
    ("canon-half-bad", "Canonicalization relaxed/strict\n"),
    ("canon-three", "Canonicalization simple/simple/simple\n"),
    ("canon-case", "Canonicalization Relaxed/SIMPLE\n"),
    ("canon-empty-body", "Canonicalization relaxed/\n"),
    ("mode-s", "Mode s\n"),
    ("mode-vs", "Mode vs\n"),
    ("mode-upper", "Mode SV\n"),
    ("mode-bad", "Mode x\n"),
    ("algorithm", "SignatureAlgorithm rsa-sha256\n"),
    ("algorithm-ed25519", "SignatureAlgorithm ed25519-sha256\n"),
    ("algorithm-bad", "SignatureAlgorithm md5\n"),
    ("action-word", "On-BadSignature reject\n"),
    ("action-letter", "On-BadSignature r\n"),
    ("action-upper", "On-BadSignature Reject\n"),
    ("action-bad", "On-BadSignature bogus\n"),
    ("action-default-bad", "On-Default bogus\n"),
    ("facility", "SyslogFacility local3\n"),
    ("facility-bad", "SyslogFacility nosuch\n"),
    ("autorestart", "AutoRestart yes\nAutoRestartRate 10/1h\nAutoRestartCount 5\n"),
    ("autorestart-rate-bad", "AutoRestart yes\nAutoRestartRate often\n"),
    ("autorestart-rate-unit", "AutoRestartRate 10/1x\n"),
    ("minimum-bytes", "Minimum 100\n"),
    ("minimum-percent", "Minimum 50%\n"),
    ("minimum-plus", "Minimum 10+\n"),
    ("bogus-key", "BogusKey neutral\n"),
    ("bogus-key-bad", "BogusKey odd\n"),
    ("unprotected-key", "UnprotectedKey fail\n"),
    ("nameservers", "Nameservers 127.0.0.1,127.0.0.2\n"),
    ("long-line", "AuthservID " + "a" * 3000 + "\n"),
    ("long-comment", "# " + "a" * 3000 + "\n"),
    ("no-newline", "LogWhy yes"),
    ("removed-adsp", "ADSPAction accept\n"),
    ("removed-keylist", "KeyList /nosuch\n"),
    ("obsolete-statistics", "Statistics {dir}/stats\n"),
    ("obsolete-atps", "ATPSDomains example.org\n"),
    ("rare-diagnostics", "DiagnosticDirectory {dir}\n"),
    ("rare-softstart", "SoftStart yes\n"),
    ("rare-dnsconnect", "DNSConnect no\n"),
    ("rare-tempdir", "TemporaryDirectory {dir}\n"),
    ("rare-coredumps", "EnableCoredumps no\n"),
    ("rare-weak", "WeakSyntaxChecks no\n"),
    ("include", "Include {dir}/more.conf\n"),
    ("include-missing", "Include {dir}/nosuch.conf\n"),
    ("include-bad", "Include {dir}/bad.conf\n"),
    ("include-nested", "Include {dir}/nested.conf\n"),
    ("include-itself", "Include {dir}/loop.conf\n"),
    ("include-empty", "Include\n"),
    ("hosts-missing", "InternalHosts {dir}/nosuch\n"),
    ("hosts-refile", "InternalHosts refile:{dir}/hosts\nExternalIgnoreList refile:{dir}/hosts\n"),
    ("hosts-unknown-kind", "InternalHosts nosuch:{dir}/hosts\n"),
    ("hosts-host-bits", "InternalHosts 10.0.0.1/8\n"),
    ("hosts-ipv6-first", "InternalHosts ::1,127.0.0.1\n"),
    ("socket-relative", "Socket milter.sock\n"),
    ("test-dns", "TestDNSData csl:a=b\n"),
    ("test-dns-unknown-kind", "TestDNSData nosuch:x\n"),
    ("test-dns-missing", "TestDNSData {dir}/nosuch\n"),
    ("signatures-zero", "MaximumSignaturesToVerify 0\n"),
    ("signatures", "MaximumSignaturesToVerify 5\n"),
    ("int-hex-bits", "MinimumKeyBits 0x400\n"),
    ("strict", "StrictHeaders yes\nStrictTestMode yes\n"),
    ("replace", "ReplaceHeaders From\n"),
    ("domain-missing-file", "Domain file:{dir}/nosuch\n"),
    ("resolver-missing", "ResolverConfiguration {dir}/nosuch\n"),
    ("anchor-missing", "TrustAnchorFile {dir}/nosuch\n"),
    ("sender-headers", "SenderHeaders Sender,From\n"),
    ("sign-headers-no-from", "SignHeaders Subject\n"),
    ("omit-from", "OmitHeaders From\n"),
    ("user-missing", "UserID nosuchuser\n"),
    ("maximum-headers", "MaximumHeaders 100000\n"),
    ("maximum-headers-zero", "MaximumHeaders 0\n"),
    ("key-bits", "MinimumKeyBits 1024\n"),
    ("key-bits-zero", "MinimumKeyBits 0\n"),
    ("ttl-negative", "SignatureTTL -5\n"),
    ("send-reports", "SendReports yes\nReportAddress postmaster@example.com\n"),
    ("remove-ar", "RemoveARFrom example.com,.example.net\nRemoveARAll yes\n"),
    ("must-be-signed", "MustBeSigned From,Subject\n"),
    ("trust", "TrustSignaturesFrom example.org\n"),
    ("macro-list-refile", "MacroList refile:{dir}/hosts\n"),
    ("peer-file", "PeerList {dir}/hosts\n"),
    ("exempt-file", "ExemptDomains {dir}/hosts\n"),
    ("redirect", "RedirectFailuresTo postmaster@example.com\n"),
    ("x-header", "X-Header yes\n"),
    ("ldap", "LDAPBindUser cn=x\n"),
    ("lua", "FinalPolicyScript {dir}/nosuch.lua\n"),
    ("vbr", "VBR-Type all\n"),
)
FILES = {"more.conf": "LogWhy yes\n", "bad.conf": "NoSuchThing yes\n", "nested.conf": "Include {dir}/more.conf\n",
         "loop.conf": "Include {dir}/loop.conf\n", "hosts": "127.0.0.1\n::1\nlocalhost\n"}

# Whole configurations.
WHOLE = (
    ("empty", ""),
    ("verify-only", "Mode v\n"),
    ("sign-without-key", "Mode s\n"),
    ("sign-without-selector", "Mode s\nDomain example.com\nKeyFile {dir}/key.pem\nRequireSafeKeys no\n"),
    ("sign-without-domain", "Mode s\nSelector sel\nKeyFile {dir}/key.pem\nRequireSafeKeys no\n"),
    ("key-missing", "Mode s\nDomain example.com\nSelector sel\nKeyFile {dir}/nosuch.pem\n"),
    ("key-garbage", "Mode s\nDomain example.com\nSelector sel\nKeyFile {dir}/garbage.pem\nRequireSafeKeys no\n"),
    ("keytable-missing", "KeyTable {dir}/nosuch\nSigningTable {dir}/signing\n"),
    ("signingtable-missing", "KeyTable {dir}/keys\nSigningTable {dir}/nosuch\n"),
    ("tables", "KeyTable {dir}/keys\nSigningTable {dir}/signing\n"),
    ("tables-refile", "KeyTable refile:{dir}/keys\nSigningTable refile:{dir}/patterns\n"),
    ("tables-unknown-key", "KeyTable {dir}/keys\nSigningTable {dir}/unknown\n"),
    ("tables-unknown-key-signer", "KeyTable {dir}/keys\nSigningTable {dir}/unknown-signer\n"),
    ("tables-no-key", "KeyTable {dir}/keys\nSigningTable {dir}/no-key\n"),
    ("tables-refile-no-key", "KeyTable {dir}/keys\nSigningTable refile:{dir}/no-key\n"),
    ("tables-signer-no-at", "KeyTable {dir}/keys\nSigningTable {dir}/signer-no-at\n"),
    ("debian", "Syslog yes\nSyslogSuccess yes\nCanonicalization relaxed/simple\nOversignHeaders From\nUMask 007\n"
               "UserID nobody\nPidFile {dir}/pid\nTrustAnchorFile /usr/share/dns/root.key\n"),
    ("epel", "PidFile {dir}/pid\nMode v\nSyslog yes\nSyslogSuccess yes\nLogWhy yes\nUserID nobody\n"
             "Umask 002\nSendReports yes\nSoftwareHeader yes\nCanonicalization relaxed/relaxed\nSelector default\n"
             "MinimumKeyBits 1024\nKeyFile {dir}/key.pem\nOversignHeaders From\nRequireSafeKeys no\n"),
    ("tutorial", "AutoRestart Yes\nAutoRestartRate 10/1h\nUMask 002\nSyslog yes\nSyslogSuccess Yes\nLogWhy Yes\n"
                 "Canonicalization relaxed/simple\nExternalIgnoreList refile:{dir}/hosts\n"
                 "InternalHosts refile:{dir}/hosts\nKeyTable refile:{dir}/keys\nSigningTable refile:{dir}/patterns\n"
                 "Mode sv\nPidFile {dir}/pid\nSignatureAlgorithm rsa-sha256\nUserID nobody:nogroup\n"),
    ("socket-twice", "Socket inet:8891@localhost\n"),
)
WHOLE_FILES = {"keys": "k1 example.com:s1:{dir}/key.pem\n", "signing": "example.com k1\n", "patterns": "*@example.com k1\n",
               "unknown": "example.com nosuch\n", "unknown-signer": "example.com nosuch:a@example.com\n",
               "no-key": "example.com\n", "signer-no-at": "example.com k1:%\n", "hosts": FILES["hosts"]}


def texts():
    for name, lines in LINES:
        yield Text("line-" + name, KEY + lines, FILES)
    for name, text in WHOLE:
        yield Text("conf-" + name, text, WHOLE_FILES)
