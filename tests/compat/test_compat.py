#!/usr/bin/python3
"""The distribution's OpenDKIM and hsmdkim side by side: same configuration, tables, key and messages.

usage: test_compat.py [PATTERN]   only the setups whose name matches, and every difference is printed, known or not
"""
import base64
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile
import traceback

import cases_config
import cases_content
import cases_policy
import cases_tables
import cases_testmode
import cases_verify
import compare
import twins

WORKERS = 4
QUERY = b"csl:a=b:c\na/2\nnone/1\n"
COMMON = {"Mode": "s", "Syslog": "yes", "SyslogSuccess": "yes", "LogWhy": "yes", "RequireSafeKeys": "no",
          "OversignHeaders": "From"}
SINGLE = {"Domain": "example.com", "Selector": "sel", "KeyFile": "{dir}/key.pem"}
VERIFY = {"Mode": "v", "TestPublicKeys": "{dir}/records"}
BASES = {"single": {**COMMON, **SINGLE}, "tables": COMMON, "verify": {**COMMON, **VERIFY}}
DOMAINS = ("example.com", "example.org", "example.net", "sub.example.com", "deep.sub.example.com",
           "a.sub.example.com", "other.example", "com", "notexample.com", "xexample.com", "xn--bcher-kva.example")
SELECTORS = ("sel", "two", "s1", "s2", "s3", "s4", "s5", "s6", "2026.nov")


class Keys:
    """The key file that all setups share, other files that are no usable key, and the zone for the verifier."""

    def __init__(self, directory):
        path = os.path.join(directory, "key.pem")
        record = twins.harness.make_key_file(path)
        small = os.path.join(directory, "small.pem")
        twins.harness.make_key_file(small, "rsa:512")
        key, small_key = self.read(path), self.read(small)
        public = twins.harness.run(["openssl", "pkey", "-in", path, "-pubout"])
        der = twins.harness.run(["openssl", "pkey", "-in", path, "-outform", "DER", "-traditional"])
        self.der = base64.b64encode(der).decode()
        self.files = {"key.pem": key, "example.com.pem": key, "small.pem": small_key, "empty.pem": b"",
                      "garbage.pem": b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                      "public.pem": public}
        self.zone = {twins.verifiers.key_name(selector, domain): record
                     for selector in SELECTORS for domain in DOMAINS}
        self.files["records"] = "".join(f"{name} {text}\n" for name, text in {**self.zone, **self.odd(record, small)}.items())

    @staticmethod
    def odd(record, small):
        """Key records that are not as they should be."""
        tags, p = record.split(" p=")
        small_der = twins.harness.run(["openssl", "pkey", "-in", small, "-pubout", "-outform", "DER"])
        texts = {"revoked": tags + " p=", "garbage": "garbage", "testing": f"{tags} t=y; p={p}", "strict": f"{tags} t=s; p={p}",
                 "sha1": f"{tags} h=sha1; p={p}", "service": f"{tags} s=tlsrpt; p={p}", "bare": "p=" + p,
                 "small": f"{tags} p={base64.b64encode(small_der).decode()}",
                 "small-order": f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes([1]) + bytes(31)).decode()}"}
        return {twins.verifiers.key_name(selector, "example.com"): text for selector, text in texts.items()}

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            return file.read()


def text_of(settings):
    lines = []
    for name, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                lines.append(f"{name} {one}\n")
    if os.geteuid() == 0:
        lines.append(f"UserID {twins.harness.USER}\n")
    return "".join(lines)


def verdicts(zone, observation):
    if not observation.signatures:
        return []
    found = twins.verifiers.Dkimpy(zone).verify(observation.outcome.message.wire())
    return [verdict.good for verdict in found]


def run_setup(setup, keys, directory):
    """@return (differences, number of cases)"""
    settings = {**BASES[setup.base], **setup.settings}
    files = {**keys.files, **{name: text.replace("{der}", keys.der) for name, text in setup.files.items()}}
    pair = twins.Pair(os.path.join(directory, setup.name), text_of(settings), files)
    try:
        status = {name: result[0] for name, result in pair.check().items()}
        refused = compare.differing_status(setup.name, status)
        if refused or any(status.values()):
            return refused, 1
        pair.start()
        for sent in setup.messages:
            pair.send(sent.message(keys) if callable(sent.message) else sent.message, sent.envelope)
        pair.stop()
    finally:
        pair.kill()
    found = []
    for sent, (_, seen) in zip(setup.messages, pair.sent):
        valid = {name: verdicts(keys.zone, one) for name, one in seen.items()}
        found += compare.differing(f"{setup.name}/{sent.name}", seen, valid)
    return found, len(setup.messages)


def run_text(case, keys, directory):
    """A configuration that is only read."""
    pair = twins.Pair(os.path.join(directory, case.name), case.text, {**keys.files, **case.files})
    status = {name: result[0] for name, result in pair.check().items()}
    return compare.differing_status(case.name, status), 1


def run_call(run, keys, directory):
    """A call of the command line."""
    settings = {**BASES.get(run.base, {}), **run.settings}
    if run.base == "verify":
        del settings["Mode"]  # -t verifies by itself
    mails = cases_testmode.files(keys)
    upper = keys.files["records"].replace("sel._domainkey", "SEL._DOMAINKEY")
    pair = twins.Pair(os.path.join(directory, run.name), text_of(settings), {**keys.files, **mails, "records-upper": upper})
    stdin = mails.get(run.stdin + ".eml", QUERY if run.stdin else b"")
    own = [] if "-x" in run.arguments else ["-x", "{conf}"]
    return compare.differing_runs(run.name, pair.call(own + run.arguments, stdin)), 1


def attempt(function, subject, keys, directory):
    try:
        return function(subject, keys, directory)
    except Exception:  # one setup that breaks must not hide the others
        return [compare.Found(subject.name, "harness", "", traceback.format_exc())], 1


def all_cases(pattern):
    setups = [*cases_content.setups(), *cases_policy.setups(), *cases_tables.setups(), *cases_verify.setups()]
    jobs = [(run_setup, setup) for setup in setups] + [(run_text, case) for case in cases_config.texts()]
    jobs += [(run_call, run) for run in cases_testmode.runs()]
    names = [job[1].name for job in jobs]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return [job for job in jobs if re.search(pattern, job[1].name)]


def report(found, known, everything):
    """@return the number of differences that nothing explains"""
    unknown = [one for one in found if not known.explains(one)]
    for one in found if everything else unknown:
        print(one)
    return len(unknown)


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    if shutil.which("opendkim", path=os.environ["PATH"] + ":/usr/sbin") is None:
        print("missing: opendkim")
        return 1 if os.environ.get("REQUIRE_ALL") == "1" else 77
    directory = tempfile.mkdtemp(prefix="hsmdkim-compat-")
    os.chmod(directory, 0o755)
    try:
        keys = Keys(directory)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(lambda job: attempt(*job, keys, directory), all_cases(pattern)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    known = compare.Known()
    found = [one for differing, _ in results for one in differing]
    unknown = report(found, known, bool(pattern))
    failures = unknown + len(known.undocumented())
    for row in known.undocumented():
        print(f"differences.py: not in docs/OPENDKIM.md: {row}")
    if not pattern:
        failures += len(known.stale())
        for row in known.stale():
            print(f"differences.py: nothing needs {row}")
    print(f"{sum(count for _, count in results)} cases, {len(found)} differences, {unknown} of them unexplained")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
