"""What every end-to-end test stands on: a temporary directory, tokens, the daemon, its log, its processes.

Environment:
  BIN          where hsmdkim and hsmdkim-signer are (default: build/release/bin)
  E2E_FILTER   "opendkim" runs the cases that need no token against OpenDKIM instead, for comparison
  REQUIRE_ALL  1: a test that can't run fails instead of being skipped
  E2E_KEEP     1: keep the temporary directories
"""
import atexit
import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import milterclient
import verifiers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("BIN", os.path.join(ROOT, "build/release/bin"))
FILTER = os.environ.get("E2E_FILTER", "hsmdkim")
USER = "nobody"  # whom the daemon's children run as when the tests run as root
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
# Before the command of a process that is to end with the thread that starts it, so that an aborted test leaves nothing running. A program
# and no preexec_fn: that may hang in a process with threads. Postfix's master leaves its starter, so it cannot be held so.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
SPY = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"  # OpenSC's: writes down every call


def wait_for(condition, timeout, what):
    """Ask until it is true. @return what the condition returned"""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def run(arguments, timeout=300, **options):
    """A command that has to succeed. @return its standard output"""
    result = subprocess.run(arguments, capture_output=True, timeout=timeout, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{arguments}: exit {result.returncode}: {result.stderr.decode(errors='replace')}")
    return result.stdout


def for_user(path):
    """A copy that the daemon's user can read: the checkout may lie in a folder that only root can enter, /root above all."""
    if os.geteuid() != 0 or not os.path.exists(path):
        return path
    directory = tempfile.mkdtemp(prefix="hsmdkim-e2e-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.chmod(directory, 0o755)
    return shutil.copy(path, directory)


# Processes.
def process_table():
    """{pid: (parent, command line)} of all processes"""
    table = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            table[int(name)] = int(fields[1]), [part.decode(errors="replace") for part in command]
    return table


def children_of(pid):
    return {child: command for child, (parent, command) in process_table().items() if parent == pid}


def alive(pid):
    return pid in process_table()


# Keys.
class TokenDirectory:
    """SoftHSM tokens in a directory of their own (softhsm-conf/make-token)."""

    def __init__(self, path):
        self.path = path
        self.conf = os.path.join(path, "softhsm2.conf")
        self.pin_file = os.path.join(path, "pin")
        self.uris = {}
        self.tokens = {}

    def make(self, token="dkim", *keys):
        out = run([os.path.join(ROOT, "softhsm-conf/make-token"), self.path, token, *keys]).decode()
        for line in out.splitlines():
            label, uri = line.split()
            self.uris[label] = uri
            self.tokens[label] = token
        self.give()
        return self

    def give(self, user=USER):
        """To the user that the signer process runs as; the PIN file stays root's."""
        if os.geteuid() == 0:
            run(["chown", "-R", user, os.path.join(self.path, "tokens"), self.conf])
            os.chmod(self.path, 0o711)

    @property
    def pin(self):
        with open(self.pin_file, encoding="ascii") as file:
            return file.read().strip()

    def environment(self):
        return {"SOFTHSM2_CONF": self.conf}

    def tool(self, token, *arguments):
        return run(["pkcs11-tool", "--module", SOFTHSM, "--token-label", token, "--login", "--pin", "env:PIN",
                    *arguments], env={**os.environ, **self.environment(), "PIN": self.pin})

    def record(self, label):
        """The DNS record of a key, its public part read by OpenSC."""
        listing = self.tool(self.tokens[label], "--list-objects", "--type", "pubkey").decode()
        for part in listing.split("Public Key Object")[1:]:
            if re.search(rf"label: +{re.escape(label)}$", part, re.M) and "EC_POINT" in part:
                point = re.search(r"EC_POINT: +([0-9a-f]+)", part)[1]
                return "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes.fromhex(point)[-32:]).decode()
        path = os.path.join(self.path, label + ".der")
        self.tool(self.tokens[label], "--read-object", "--type", "pubkey", "--label", label, "--output-file", path)
        with open(path, "rb") as file:
            return "v=DKIM1; k=rsa; p=" + base64.b64encode(file.read()).decode()


def make_key_file(path, kind="rsa:2048", owner=None):
    """A PEM file of mode 0600, of the user that the signer process runs as. @return its DNS record"""
    algorithm = ["RSA", "-pkeyopt", "rsa_keygen_bits:" + kind[4:]] if kind.startswith("rsa") else ["ED25519"]
    run(["openssl", "genpkey", "-quiet", "-out", path, "-algorithm", *algorithm])
    os.chmod(path, 0o600)
    if os.geteuid() == 0 and FILTER == "hsmdkim":
        shutil.chown(path, owner or USER)
    der = run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"])
    if algorithm[0] == "ED25519":
        return "v=DKIM1; k=ed25519; p=" + base64.b64encode(der[-32:]).decode()
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


# The daemon.
LINE = re.compile(r"^(?P<ident>[\w.-]+)\[(?P<pid>\d+)\]: (?P<level>(?:error|warning|debug): )?(?P<text>.*)$")
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class Daemon:
    """hsmdkim (or OpenDKIM) in the foreground with a configuration of its own.

    @param settings {name: value}; Socket and the log settings are filled in
    @param allowed  patterns of warning and error lines that this test expects
    """
    ready_s = 20
    stop_s = 20

    def __init__(self, directory, settings, environment=None, allowed=(), program=None):
        self.directory = directory
        self.socket = "local:" + os.path.join(directory, "milter.sock")
        self.conf = os.path.join(directory, "hsmdkim.conf")
        self.log_path = os.path.join(directory, "daemon.log")
        self.allowed = list(allowed)
        self.environment = {**os.environ, **(environment or {})}
        self.settings = {"Mode": "s", "Socket": self.socket, "SyslogSuccess": "yes", **settings}
        if FILTER == "opendkim":
            self.settings["RequireSafeKeys"] = "no"  # it objects to /tmp
        elif os.geteuid() == 0:
            self.settings.setdefault("UserID", USER)
        self.socket = self.settings["Socket"]
        self.options = []
        self.terminal = None  # a descriptor: the daemon is started there
        self.program = program or (FILTER if FILTER == "opendkim" else os.path.join(BIN, FILTER))
        self.process = None
        self.family = set()
        self.configure()

    def configure(self, **changes):
        """Write the configuration file (again). A value None takes a setting away."""
        self.settings.update(changes)
        with open(self.conf, "w", encoding="utf-8") as file:
            for name, value in self.settings.items():
                if value is not None:
                    file.write(f"{name.replace('_', '-')} {value}\n")

    # Start and stop.
    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            at_terminal = self.terminal is not None
            self.process = subprocess.Popen([*ENDS_WITH_US, *(("setsid", "--ctty") if at_terminal else ()), self.program, "-x",
                                             self.conf, "-f", *self.options],
                                            stdin=self.terminal if at_terminal else subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=not at_terminal)
        if wait:
            wait_for(self.reachable, self.ready_s, f"{self.program} takes connections\n{self.log()}")
        return self

    def reachable(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.program} ended with {self.process.returncode}:\n{self.log()}")
        try:
            milterclient.connect_socket(self.socket, 5).close()
        except OSError:
            return False
        return True

    def stop(self, expected_status=0):
        """SIGTERM; nothing of the family may be left. @return the log"""
        if self.process is None:
            return self.log()
        self.note_family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            status = "a hang"
        try:
            wait_for(lambda: not any(map(alive, self.family)), 10, "all processes of the daemon end with it")
        finally:
            self.kill()
        if expected_status is not None and status != expected_status:
            raise AssertionError(f"{self.program} ended with {status}:\n{self.log()}")
        return self.log()

    def kill(self):
        """Only pids that we saw below our own child."""
        for pid in self.family | ({self.process.pid} if self.process and self.process.poll() is None else set()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        self.family.clear()
        self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    # Its processes.
    def note_family(self):
        if self.process:
            self.family |= set(children_of(self.process.pid))

    def child(self, kind, timeout=10):
        """The pid of the "milter" or the "signer" process."""
        def find():
            children = children_of(self.process.pid)
            self.family |= set(children)
            for pid, command in children.items():  # a child that is not yet exec'ed looks like its parent
                if "--milter-process" in command and kind == "milter" or "hsmdkim-signer" in command[0] and kind == "signer":
                    return pid
            return None
        return wait_for(find, timeout, f"there is a {kind} process")

    def milter_pid(self):
        return self.process.pid if FILTER == "opendkim" else self.child("milter")

    def signer_pid(self):
        return self.child("signer")

    @contextlib.contextmanager
    def without_signer(self):
        """The signer process is killed, and no new one comes meanwhile."""
        pid = self.signer_pid()
        self.signal(signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not alive(pid), 20, "the signer process is dead")
            yield
        finally:
            self.signal(signal.SIGCONT)
        wait_for(lambda: self.signer_pid() != pid, 20, "a new signer process")

    # Its log.
    def log(self):
        with contextlib.suppress(FileNotFoundError), open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()
        return ""

    def log_mark(self):
        return len(self.log())

    def expect(self, pattern, timeout=10, since=0):
        """Wait for a log line. @return the match"""
        regex = re.compile(pattern)

        def find():
            return regex.search(self.log()[since:])
        try:
            return wait_for(find, timeout, f"log line /{pattern}/")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def unexpected(self):
        """Warning and error lines that no pattern allows, and everything that is no log line."""
        lines = []
        for line in self.log().splitlines():
            match = LINE.match(line)
            loud = match is None or match["level"] in ("error: ", "warning: ")
            if loud and not any(re.search(pattern, line) for pattern in self.allowed):
                lines.append(line)
        return lines

    # Mail.
    def send(self, message, envelope=None, **options):
        if isinstance(message, bytes):
            message = milterclient.Message.parse(message)
        return milterclient.send(self.socket, message, envelope, **options)


MESSAGE = (b"From: Alice <alice@example.com>\r\nTo: Bob <bob@example.net>\r\nSubject: A test\r\n"
           b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello Bob.\r\n")


class Case(unittest.TestCase):
    """A test with a temporary directory; what it starts is stopped, and its log is read at the end."""

    def setUp(self):
        self.directory = make_directory(self)
        self.daemons = []

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def file_key_daemon(self, settings=None, **options):
        """A daemon that signs example.com with an RSA key file: for tests that are not about tokens."""
        path = self.path("key.pem")
        self.zone = {"sel._domainkey.example.com": make_key_file(path, owner="root")}
        return self.daemon({"Domain": "example.com", "Selector": "sel", "KeyFile": path, **(settings or {})}, **options)

    def token_daemon(self, settings=None, token=None, keys=(), environment=None, **options):
        """A daemon that signs example.com with the keys (labels, default rsa2048) of a token."""
        need_token(self)
        self.token = token or TokenDirectory(self.path("token")).make()
        keys = keys or ("rsa2048",)
        self.zone = {f"{label}._domainkey.example.com": self.token.record(label) for label in keys}
        self.write("KeyTable", "".join(f"{key} example.com:{key}:{self.token.uris[key]}\n" for key in keys))
        self.write("SigningTable", "".join(f"*@example.com {key}\n" for key in keys))
        return self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                            "MultipleSignatures": "yes", "PKCS11Module": SOFTHSM,
                            "PKCS11PinSource": "file:" + self.token.pin_file, **(settings or {})},
                           {**self.token.environment(), **(environment or {})}, **options)

    def assert_signed(self, outcome, selectors=("rsa2048",)):
        """Accepted with a signature of each of these selectors that dkimpy accepts (self.zone)."""
        self.assertTrue(outcome.accepted, f"{outcome.answer} {outcome.reply}")
        verdicts = verifiers.Dkimpy(self.zone).verify(outcome.message.wire())
        self.assertEqual(sorted(selectors), sorted(verdict.selector for verdict in verdicts))
        for verdict in verdicts:
            self.assertTrue(verdict.good, str(verdict))

    def daemon(self, settings, environment=None, allowed=(), start=True):
        need(self, FILTER == "opendkim" or os.access(os.path.join(BIN, "hsmdkim"), os.X_OK), f"{BIN}/hsmdkim")
        directory = self.path(f"daemon{len(self.daemons)}")
        os.mkdir(directory)
        os.chmod(directory, 0o755)
        daemon = Daemon(directory, settings, environment, allowed)
        self.daemons.append(daemon)
        self.addCleanup(self.finish, daemon)
        return daemon.start() if start else daemon

    def finish(self, daemon):
        log = daemon.log()
        try:
            log = daemon.stop(expected_status=None if daemon.process is None else 0)
        finally:
            daemon.kill()
            if failed(self):
                print(f"--- log of {self.id()}\n{log}---", file=sys.stderr)
        if SANITIZER.search(log):
            self.fail("a sanitizer spoke:\n" + log)
        self.assertEqual([], daemon.unexpected(), "unexpected lines in the log")


def failed(case):
    """True when the test has failed so far (unittest keeps it to itself before 3.11's end)."""
    outcome = getattr(case, "_outcome", None)
    result = getattr(outcome, "result", None)
    if result is None:
        return False
    return any(test is case for test, _ in result.errors + result.failures)


def make_directory(case, keep=os.environ.get("E2E_KEEP") == "1"):
    directory = tempfile.mkdtemp(prefix="hsmdkim-e2e-")
    os.chmod(directory, 0o755)
    if keep:
        print(f"{case.id()}: {directory}", file=sys.stderr)
    else:
        case.addCleanup(shutil.rmtree, directory, ignore_errors=True)
    return directory


def need(case, condition, what):
    """Skip the test, or fail it under REQUIRE_ALL=1."""
    if not condition:
        if os.environ.get("REQUIRE_ALL") == "1":
            case.fail(f"missing: {what}")
        case.skipTest(f"missing: {what}")


def need_token(case):
    need(case, FILTER != "opendkim", "keys on a token (OpenDKIM has none)")
    need(case, os.path.exists(SOFTHSM), SOFTHSM)


def main():
    unittest.main(verbosity=2)
