"""The filters that are measured: how each is configured, started, loaded and watched."""
import json
import os
import signal
import socket
import subprocess
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
    expect = "DKIM-Signature:"  # what each message must gain

    def __init__(self, directory, key):
        self.dir = tempfile.mkdtemp(prefix=self.name.replace(" ", "-") + "-", dir=directory)
        os.chmod(self.dir, 0o755)
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
        """@return seconds until it took connections"""
        path = os.path.join(self.dir, "conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.config())
        log = open(os.path.join(self.dir, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(self.command(path), stdout=log, stderr=log, env=self.environment(),
                                        start_new_session=True)
        started = time.monotonic()
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > started + START_TIMEOUT_S:
                with open(log.name, encoding="utf-8", errors="replace") as f:
                    raise RuntimeError(f"{self.name} did not start: {f.read()}")
            time.sleep(0.01)
        log.close()
        return time.monotonic() - started

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

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


class Noop(Signer):
    """A filter that adds a constant field: the ceiling that libmilter sets."""

    name = "noop"
    program = os.path.join(BIN, "noopmilter")
    expect = "X-Noop:"

    def config(self):
        return ""

    def command(self, path):
        return [self.program, "local:" + self.socket]


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


class HsmdkimVerifier(Hsmdkim):
    """Keys from a file; the message is the same for all verifiers."""

    expect = "dkim=pass"

    def config(self):
        return (f"Mode v\nSocket local:{self.socket}\nTestPublicKeys {self.key}\nUserID nobody\n"
                "AuthservID mx.example.net\n")


class OpenDkimVerifier(OpenDkim):
    expect = "dkim=pass"

    def config(self):
        return (f"Syslog no\nMode v\nSocket local:{self.socket}\nTestPublicKeys {self.key}\nBackground no\n"
                "AuthservID mx.example.net\n")


def command(signer, size, connections, messages, *more):
    return [os.path.join(BIN, "milterload"), "--socket", "unix:" + signer.socket, "--size", str(size), "--connections",
            str(connections), "--messages", str(messages), "--from", "joe@" + DOMAIN, "--expect", signer.expect, *more]


def load(signer, size, connections, messages, *more):
    """Fails when one message came back without what it had to gain. @return milterload's figures"""
    watched = [word for pid in signer.pids() for word in ("--pid", str(pid))]
    done = subprocess.run([*command(signer, size, connections, messages, *more), *watched], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{signer.name}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)
