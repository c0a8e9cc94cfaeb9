"""Two independent DKIM verifiers, dkimpy and Mail::DKIM, with DNS answers from a dict."""
import dataclasses
import json
import os
import select
import subprocess
import sys
import tempfile

import dkim

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclasses.dataclass(frozen=True)
class Verdict:
    verifier: str
    domain: str
    selector: str
    good: bool
    why: str

    def __str__(self):
        return f"{self.verifier}: {'good' if self.good else 'BAD'} s={self.selector} d={self.domain} ({self.why})"


def tags_of(value):
    """The tags of a DKIM-Signature value, without a check: for tests that look into a field."""
    tags = {}
    for tag in value.decode("utf-8", "replace").split(";"):
        name, equals, text = tag.partition("=")
        if equals:
            tags[name.strip()] = "".join(text.split()) if name.strip() in ("b", "bh", "h") else text.strip()
    return tags


def dns_name(name):
    """In lower case, U-labels as A-labels (RFC 8616)."""
    return ".".join(label.lower() if label.isascii() else label.encode("idna").decode() for label in name.split("."))


def key_name(selector, domain):
    return dns_name(f"{selector}._domainkey.{domain}")


class Dkimpy:
    name = "dkimpy"

    def __init__(self, zone):
        self.zone = zone

    def look_up(self, name, timeout=5):
        name = name.decode("utf-8") if isinstance(name, bytes) else name
        text = self.zone.get(dns_name(name.rstrip(".")))
        return text.encode() if text is not None else None

    def verify(self, raw):
        try:
            verifier = dkim.DKIM(raw, minkey=1024)
            fields = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
        except dkim.DKIMException as error:
            return [Verdict(self.name, "", "", False, str(error))]
        verdicts = []
        for index, value in enumerate(fields):
            tags = tags_of(value)
            try:
                good, why = verifier.verify(idx=index, dnsfunc=self.look_up), ""
            except Exception as error:  # dkimpy lets UnicodeError, binascii.Error and others through
                good, why = False, f"{type(error).__name__}: {error}"
            verdicts.append(Verdict(self.name, tags.get("d", ""), tags.get("s", ""), good, why))
        return verdicts

    def close(self):
        pass


class MailDkim:
    """A perl process that serves one verification after the other."""
    name = "Mail::DKIM"
    timeout_s = 60

    def __init__(self, zone, directory):
        path = os.path.join(directory, "zone.txt")
        with open(path, "w", encoding="utf-8") as file:
            for name, text in zone.items():
                file.write(f"{name}\t{text}\n")
                if "xn--" in name:  # Mail::DKIM asks for the U-labels of d= as they stand
                    file.write(f"{name.encode().decode('idna')}\t{text}\n")
        self.process = subprocess.Popen(["/usr/bin/perl", os.path.join(HERE, "verify.pl"), path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def verify(self, raw):
        self.process.stdin.write(b"%d\n%s" % (len(raw), raw))
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], self.timeout_s)[0]:
            raise TimeoutError("Mail::DKIM did not answer")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("Mail::DKIM died")
        return [Verdict(self.name, row["d"] or "", row["s"] or "", row["result"] == "pass", row["detail"] or "")
                for row in json.loads(line)]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Verifiers:
    """Both of them. zone: "selector._domainkey.domain" -> record."""

    def __init__(self, zone, directory):
        self.zone = dict(zone)
        self.all = [Dkimpy(self.zone), MailDkim(self.zone, directory)]

    def verdicts(self, raw, selectors):
        """@return {(verifier name, selector): Verdict}; a signature that a verifier does not see is a bad one"""
        table = {}
        for verifier in self.all:
            found = verifier.verify(raw)
            for selector in selectors:
                mine = [verdict for verdict in found if verdict.selector == selector]
                missing = Verdict(verifier.name, "", selector, False,
                                  "not seen; " + "; ".join(verdict.why for verdict in found))
                table[verifier.name, selector] = mine[0] if mine else missing
        return table

    def close(self):
        for verifier in self.all:
            verifier.close()


def main():
    """usage: verifiers.py MESSAGE ZONE: the verdicts of both; ZONE holds "name<TAB>record" lines"""
    message, zone = sys.argv[1:]
    with open(zone, encoding="utf-8") as file:
        records = dict(line.rstrip("\n").split("\t", 1) for line in file)
    with open(message, "rb") as file:
        raw = file.read()
    selectors = [name.partition("._domainkey.")[0] for name in records]
    with tempfile.TemporaryDirectory() as directory:
        both = Verifiers(records, directory)
        verdicts = both.verdicts(raw, selectors).values()
        both.close()
    for verdict in verdicts:
        print(verdict)
    sys.exit(0 if all(verdict.good for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
