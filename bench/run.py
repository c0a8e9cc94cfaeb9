"""Signs the same messages with hsmdkim and its peers, one after the other in rounds, and prints ratios.

Every signer's last message is verified with dkimpy: a fast signer that signs wrongly does not count.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BIN = os.environ.get("BIN", os.path.join(TOP, "build/release/bin"))
DOMAIN, SELECTOR = "example.com", "s"
START_TIMEOUT_S = 60


class Signer:
    """One filter: how it is configured and started. Subclasses fill in config() and command()."""

    name = ""
    program = ""

    def __init__(self, directory, key):
        self.dir = os.path.join(directory, self.name.replace(" ", "-"))
        os.mkdir(self.dir, 0o755)
        self.key = key
        self.socket = os.path.join(self.dir, "sock")
        self.process = None

    def config(self):
        raise NotImplementedError

    def command(self, path):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self):
        path = os.path.join(self.dir, "conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.config())
        log = open(os.path.join(self.dir, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(self.command(path), stdout=log, stderr=log, env=self.environment(),
                                        start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start, see {self.dir}/log")
            time.sleep(0.05)
        time.sleep(0.5)

    def pids(self):
        """The process and all its descendants."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                        parent = int(f.read().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Hsmdkim(Signer):
    name = "hsmdkim"
    program = os.path.join(BIN, "hsmdkim")

    def config(self):
        return (f"Mode s\nSocket local:{self.socket}\nDomain {DOMAIN}\nSelector {SELECTOR}\n"
                f"KeyFile {self.key}\nCanonicalization relaxed/relaxed\nRequireSafeKeys no\nUserID nobody\n")

    def command(self, path):
        return [self.program, "-f", "-x", path]


class HsmdkimToken(Hsmdkim):
    name = "hsmdkim token"
    sessions = 2

    def config(self):
        subprocess.run([os.path.join(TOP, "softhsm-conf/make-token"), os.path.join(self.dir, "token"), "bench",
                        "mail=rsa:2048"], check=True, stdout=subprocess.DEVNULL)
        return (f"Mode s\nSocket local:{self.socket}\nDomain {DOMAIN}\nSelector {SELECTOR}\n"
                f"KeyFile pkcs11:token=bench;object=mail\nPKCS11Module {softhsm()}\n"
                f"PKCS11PinSource file:{self.dir}/token/pin\nTokenSessions {self.sessions}\n"
                "Canonicalization relaxed/relaxed\n")

    def environment(self):
        return dict(os.environ, SOFTHSM2_CONF=os.path.join(self.dir, "token/softhsm2.conf"))


class OpenDkim(Signer):
    name = "opendkim"
    program = "/usr/sbin/opendkim"

    def config(self):
        return (f"Syslog no\nMode s\nSocket local:{self.socket}\nDomain {DOMAIN}\nSelector {SELECTOR}\n"
                f"KeyFile {self.key}\nCanonicalization relaxed/relaxed\nOversignHeaders From\nBackground no\n"
                "RequireSafeKeys no\n")

    def command(self, path):
        return [self.program, "-f", "-x", path]


class Rspamd(Signer):
    name = "rspamd"
    program = "/usr/bin/rspamd"

    def config(self):
        empty = os.path.join(self.dir, "empty.lua")
        with open(empty, "w", encoding="utf-8"):
            pass
        os.mkdir(os.path.join(self.dir, "hs"))
        return f"""options {{ pidfile = "{self.dir}/pid"; filters = "dkim"; tempdir = "{self.dir}";
  control_socket = "{self.dir}/control mode=0600"; hs_cache_dir = "{self.dir}/hs"; local_addrs = ["127.0.0.1"];
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
  url_tld = "/usr/share/rspamd/effective_tld_names.dat"; history_file = "{self.dir}/history"; }}
logging {{ type = "file"; filename = "{self.dir}/rspamd.log"; level = "error"; }}
worker "rspamd_proxy" {{ bind_socket = "{self.socket} mode=0666"; milter = yes; count = {os.cpu_count()}; timeout = 60s;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
lua = "{empty}"
modules {{ path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }}
dkim_signing {{ sign_local = true; use_domain = "header"; check_pubkey = false; allow_hdrfrom_mismatch = true;
  allow_username_mismatch = true; use_esld = false;
  domain {{ {DOMAIN} {{ selector = "{SELECTOR}"; path = "{self.key}"; }} }} }}
"""

    def command(self, path):
        return [self.program, "-f", "-i", "-c", path]


class DkimpyMilter(Signer):
    name = "dkimpy-milter"
    program = "/usr/bin/dkimpy-milter"

    def config(self):
        return (f"Syslog no\nMode s\nSocket local:{self.socket}\nDomain {DOMAIN}\nSelector {SELECTOR}\n"
                f"KeyFile {self.key}\nCanonicalization relaxed/relaxed\nPidFile {self.dir}/pid\nUMask 000\n"
                "InternalHosts 127.0.0.1\nUserID root\n")

    def command(self, path):
        return [self.program, path]


def softhsm():
    for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"):
        if os.path.exists(path):
            return path
    raise SystemExit("libsofthsm2.so not found")


def load(signer, size, connections, messages, save=None):
    command = [os.path.join(BIN, "milterload"), "--socket", "unix:" + signer.socket, "--size", str(size),
               "--connections", str(connections), "--messages", str(messages), "--from", "joe@" + DOMAIN]
    for pid in signer.pids():
        command += ["--pid", str(pid)]
    if save:
        command += ["--save", save]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{signer.name}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def verify(path, key):
    import dkim
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    import base64
    record = b"v=DKIM1; p=" + base64.b64encode(der)
    with open(path, "rb") as f:
        return dkim.verify(f.read(), dnsfunc=lambda name, timeout=5: record)


def token_public_key(signer, out):
    """The token's key, as PEM, for verify()."""
    listing = subprocess.run(
        ["pkcs11-tool", "--module", softhsm(), "--token-label", "bench", "--read-object", "--type", "pubkey",
         "--label", "mail", "-o", out + ".der"], env=signer.environment(), capture_output=True, check=True)
    del listing
    subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", out + ".der", "-out", out], check=True)


def table(rows, reference):
    head = f"{'':16}{'messages/s':>12}{'ratio':>8}{'CPU us':>9}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'RSS MiB':>9}"
    lines = [head, "-" * len(head)]
    base = rows[reference]
    for name, r in rows.items():
        lines.append(f"{name:16}{r['per_second']:12.0f}{r['per_second'] / base['per_second']:8.2f}"
                     f"{r['cpu_us_message']:9.0f}{r['cpu_us_message'] / base['cpu_us_message']:8.2f}"
                     f"{r['p50_ms']:9.2f}{r['p99_ms']:9.2f}{r['rss_mib']:9.1f}")
    return "\n".join(lines)


def measure(signers, size, connections, messages, rounds):
    """Rounds over all signers in turn, so that a noisy minute hits all of them."""
    samples = {s.name: [] for s in signers}
    for s in signers:
        load(s, size, connections, max(1, messages // 10))
    for _ in range(rounds):
        for s in signers:
            samples[s.name].append(load(s, size, connections, messages))
    return {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]} for name, runs in samples.items()}


def check_output(signer, key, directory):
    saved = os.path.join(directory, "message")
    load(signer, 5000, 1, 1, saved)
    if isinstance(signer, HsmdkimToken):
        key = os.path.join(directory, "token.pem")
        token_public_key(signer, key)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", key, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        import base64
        import dkim
        record = b"v=DKIM1; p=" + base64.b64encode(der)
        with open(saved, "rb") as f:
            good = dkim.verify(f.read(), dnsfunc=lambda name, timeout=5: record)
    else:
        good = verify(saved, key)
    print(f"   {signer.name:16} signature {'verified by dkimpy' if good else 'WRONG'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small case: for CI, no figure is judged")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="comma list of signers")
    args = parser.parse_args()
    kinds = [Hsmdkim, HsmdkimToken, OpenDkim, Rspamd, DkimpyMilter]
    if args.only:
        kinds = [k for k in kinds if k.name in args.only.split(",")]
    sizes, counts, rounds = ([5000], [8], 1) if args.short else ([5000, 70000, 1000000], [1, 8, 64], args.rounds)
    missing = [k.name for k in kinds if not os.path.exists(k.program)]
    for name in missing:
        print(f"   {name}: not installed, left out")
    signers, good = [], True
    with tempfile.TemporaryDirectory(prefix="hsmdkim-bench-") as directory:
        os.chmod(directory, 0o755)
        key = os.path.join(directory, "key.pem")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        os.chmod(key, 0o644)
        try:
            for kind in kinds:
                if kind.name not in missing:
                    signer = kind(directory, key)
                    signer.start()
                    signers.append(signer)
                    good = check_output(signer, key, directory) and good
            reference = "opendkim" if any(s.name == "opendkim" for s in signers) else signers[0].name
            for size in sizes:
                for connections in counts:
                    messages = max(3, (400 if not args.short else 100) // connections // max(1, size // 50000))
                    rows = measure(signers, size, connections, messages, rounds)
                    print(f"\nsign, {size} bytes, {connections} connections (medians of {rounds} rounds; "
                          f"ratios to {reference})\n")
                    print(table(rows, reference), flush=True)
        finally:
            for signer in signers:
                signer.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
