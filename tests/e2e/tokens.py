"""Throw-away tokens of every kind that Debian has: each in a directory of its own, with its own processes.

A kind says how a token comes to be and how it is lost; what all share (keys, PIN, environment) is in Token. Keys are
made by hsmdkim-genkey, so that what it asks a token for is tested as well. KINDS is the table.
"""
import contextlib
import ctypes
import functools
import os
import re
import shutil
import signal
import socket
import subprocess

import harness

MODULES = "/usr/lib/x86_64-linux-gnu/pkcs11/"
LABEL = "dkim"
# For modules that lose memory of their own, in builds with AddressSanitizer; SoftHSM's tests look for our leaks.
NO_LEAK_CHECK = {"ASAN_OPTIONS": ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")))}


class Token:
    """One initialised token without keys. start() makes it, stop() ends its processes."""
    name = None
    module = None
    programs = ()  # that must be installed
    user = harness.USER  # whom the signer process runs as, and owns the token's files
    ed25519 = False
    imports = True  # takes a key from outside
    knows_imports = True  # tells an imported key from one it made
    # A process has these in memory: that they are lost is met by the next signer process.
    remembers_keys = False
    remembers_files = False
    sessions = 4
    pin, so_pin = "84629173", "71392648"
    noise = ()  # patterns of what the module itself writes to standard error

    def __init__(self, directory):
        self.path = directory
        self.pin_file = os.path.join(directory, "pin")
        self.processes = []
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.write_pin(self.pin)

    @classmethod
    def missing(cls):
        """What keeps this kind from being made here, or None"""
        for path in (cls.module, *cls.programs):
            if not (os.path.exists(path) if path.startswith("/") else shutil.which(path, path=os.environ["PATH"] + ":/usr/sbin")):
                return path
        return None

    def environment(self):
        return {}

    def start(self):
        raise NotImplementedError

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.processes.clear()

    def tidy(self):
        """After a client was killed, before the next one comes."""

    def spawn(self, *arguments, environment=None):
        process = subprocess.Popen([*harness.ENDS_WITH_US, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}, start_new_session=True)
        self.processes.append(process)
        return process

    def give(self, *paths):
        """To the user that the signer process runs as."""
        if os.geteuid() == 0:
            harness.run(["chown", "-R", self.user, *paths])

    # The token by OpenSC's tool.
    def tool(self, *arguments, **options):
        return harness.run(["pkcs11-tool", "--module", self.module, *arguments],
                           env={**os.environ, **self.environment(), "PIN": self.pin, "SO_PIN": self.so_pin}, **options)

    def on_token(self, *arguments):
        return self.tool("--token-label", LABEL, *arguments)

    def initialise(self, *slot):
        self.tool(*slot, "--init-token", "--label", LABEL, "--so-pin", "env:SO_PIN")
        self.on_token("--login", "--login-type", "so", "--so-pin", "env:SO_PIN", "--init-pin", "--new-pin", self.pin)

    def initialise_again(self):
        """The same name and PINs, no keys."""
        self.initialise("--token-label", LABEL)

    def delete_key(self, selector):
        for kind in ("privkey", "pubkey"):
            self.on_token("--login", "--pin", "env:PIN", "--delete-object", "--type", kind, "--label", key_label(selector))

    def change_pin(self, pin):
        self.on_token("--login", "--pin", "env:PIN", "--change-pin", "--new-pin", pin)
        self.pin = pin

    def write_pin(self, pin):
        """What the daemon is told; the token's own PIN stays as it is."""
        with open(os.open(self.pin_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(pin + "\n")

    # The token by our tools.
    def genkey(self, selector, *options):
        """@return (the key's URI, its DNS record)"""
        run = harness.run([os.path.join(harness.BIN, "hsmdkim-genkey"), "--token", "pkcs11:token=" + LABEL, "--module", self.module,
                           "--pin-source", "file:" + self.pin_file, "-D", self.path, "-s", selector, "-d", "example.com",
                           "--format", "plain", *options], env={**os.environ, **self.environment()}, timeout=120).decode()
        with open(os.path.join(self.path, selector + ".txt"), encoding="ascii") as file:
            record = file.read().strip()
        os.unlink(os.path.join(self.path, selector + ".txt"))
        return re.search(r"pkcs11:\S+", run)[0], re.search(r"v=DKIM1.*", record)[0]


def key_label(selector):
    return f"{selector}._domainkey.example.com"


class SoftHsm(Token):
    name = "SoftHSM2"
    module = harness.SOFTHSM
    programs = ("softhsm2-util", "pkcs11-tool")
    ed25519 = True

    def environment(self):
        return {"SOFTHSM2_CONF": os.path.join(self.path, "softhsm2.conf")}

    @property
    def folder(self):
        return os.path.join(self.path, "tokens")

    def start(self):
        os.mkdir(self.folder)
        with open(self.environment()["SOFTHSM2_CONF"], "w", encoding="ascii") as file:
            file.write(f"directories.tokendir = {self.folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.initialise("--slot-index", "0")
        return self

    def ready(self):
        self.give(self.folder)


class Remote(SoftHsm):
    """The same behind p11-kit's server, which is a process of its own that can be stopped and killed."""
    name = "SoftHSM2 behind p11-kit server"
    module = MODULES + "p11-kit-client.so"
    programs = ("p11-kit", harness.SOFTHSM, *SoftHsm.programs)
    ed25519 = False  # the protocol has no CKM_EDDSA

    def environment(self):
        return {**super().environment(), "P11_KIT_SERVER_ADDRESS": "unix:path=" + self.socket}

    @property
    def socket(self):
        return os.path.join(self.path, "p11.sock")

    def start(self):
        self.module = SoftHsm.module  # the server shows tokens that are there when it starts
        super().start()
        self.module = Remote.module
        self.serve()
        return self

    def serve(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.spawn("p11-kit", "server", "--foreground", "--provider", SoftHsm.module, "-n", self.socket, "pkcs11:token=" + LABEL,
                   environment=super().environment())
        harness.wait_for(lambda: os.path.exists(self.socket), 20, "p11-kit server has its socket")

    def ready(self):
        super().ready()
        self.give(self.socket)
        os.chmod(self.socket, 0o666)

    def remotes(self):
        """The processes that serve one connection each."""
        return list(harness.children_of(self.processes[-1].pid))


class Tpm(Token):
    """swtpm is the chip, tpm2-pkcs11 the module. No resource manager in between: the TPM has room for three keys and
    three sessions of all clients together, and what a killed client leaves stays there until tidy()."""
    name = "TPM 2.0 (swtpm, tpm2-pkcs11)"
    module = MODULES + "libtpm2_pkcs11.so"
    programs = ("swtpm", "swtpm_setup", "tpm2_flushcontext", "pkcs11-tool")
    imports = False
    remembers_keys = remembers_files = True
    sessions = 1
    noise = (r"^(ERROR|WARNING):", "^$")

    def environment(self):
        tcti = f"swtpm:host=127.0.0.1,port={self.port}"
        return {"TPM2_PKCS11_STORE": self.folder, "TPM2_PKCS11_TCTI": tcti, "TPM2TOOLS_TCTI": tcti, "TPM2_PKCS11_LOG_LEVEL": "0",
                "TSS2_LOG": "all+NONE", **NO_LEAK_CHECK}

    @property
    def folder(self):
        return os.path.join(self.path, "store")

    def start(self):
        os.mkdir(self.folder)
        os.mkdir(os.path.join(self.path, "chip"))
        harness.run(["swtpm_setup", "--tpm2", "--tpmstate", os.path.join(self.path, "chip"), "--overwrite"])
        self.port = free_port_pair()
        self.power_on()
        self.initialise("--slot-index", "0")
        self.tidy()
        return self

    def power_on(self):
        self.spawn("swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + os.path.join(self.path, "chip"),
                   "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
                   "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear")
        harness.wait_for(self.answers, 20, "swtpm answers")

    def initialise_again(self):
        """The module refuses to; so a new store for the same chip."""
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        self.initialise("--slot-index", "0")

    def answers(self):
        return subprocess.run(["tpm2_getrandom", "1"], env={**os.environ, **self.environment()}, capture_output=True, timeout=30,
                              check=False).returncode == 0

    def tidy(self):
        for what in ("-t", "-l", "-s"):
            harness.run(["tpm2_flushcontext", what], env={**os.environ, **self.environment()})

    def ready(self):
        self.give(self.folder)


def free_port_pair():
    """swtpm's control port must be the one above its port."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


class OpenCryptoki(Token):
    """Its software token. All its paths are fixed at build time, so it gets a mount namespace with empty ones; where that
    is not allowed (a container) it uses the real ones, if nobody else does, and clears them again."""
    name = "openCryptoki's software token"
    module = MODULES + "libopencryptoki.so"
    programs = ("pkcsslotd", "pkcs11-tool")
    knows_imports = False
    slot = "3"
    remembers_files = True
    group = "pkcs11"  # it serves root and the members that /etc/group names, no one else
    CONFIG, STATE, LOCKS, SHARED = "/etc/opencryptoki", "/var/lib/opencryptoki", "/run/lock/opencryptoki", "/dev/shm"
    factory_so_pin, first_pin = "87654321", "13572468"

    @classmethod
    def missing(cls):
        if super().missing():
            return super().missing()
        if os.geteuid() != 0:
            return "root, to start openCryptoki's daemon"
        if not enter_namespace() and (os.path.exists("/run/pkcsslotd.pid") or os.path.exists(cls.STATE + "/swtok/NVTOK.DAT")):
            return "an openCryptoki that is not in use"
        return None

    def __init__(self, directory):
        super().__init__(directory)
        self.user = harness.USER if enter_namespace() else "root"

    def environment(self):
        return NO_LEAK_CHECK

    @property
    def folder(self):
        return self.STATE + "/swtok"

    def start(self):
        self.prepare()
        self.serve()
        self.initialise("--slot", self.slot)
        return self

    def prepare(self):
        """Everything but the daemon and the token."""
        if enter_namespace():
            for path in (self.CONFIG, self.STATE, "/run", self.SHARED):
                harness.run(["mount", "-t", "tmpfs", "tmpfs", path])
            with open("/etc/group", encoding="ascii") as old, open(os.path.join(self.path, "group"), "w", encoding="ascii") as new:
                new.write(re.sub(rf"^{self.group}:.*:.*:.*$", rf"\g<0>,{self.user}", old.read(), flags=re.M))
            harness.run(["mount", "--bind", new.name, "/etc/group"])
        with contextlib.suppress(FileExistsError), open(self.CONFIG + "/opencryptoki.conf", "x", encoding="ascii") as file:
            file.write(f"version opencryptoki-3.8\nslot {self.slot}\n{{\nstdll = libpkcs11_sw.so\n}}\n")
        for path in (self.folder + "/TOK_OBJ", self.STATE + "/HSM_MK_CHANGE", self.LOCKS + "/swtok"):
            os.makedirs(path, exist_ok=True)
        for path in (self.STATE, self.LOCKS):
            harness.run(["chgrp", "-R", self.group, path])
            harness.run(["chmod", "-R", "u=rwX,g=rwX,o=", path])

    def serve(self):
        self.spawn("/usr/sbin/pkcsslotd", "-f")
        harness.wait_for(self.answers, 20, "pkcsslotd serves")

    def answers(self):
        return subprocess.run(["pkcs11-tool", "--module", self.module, "-L"], capture_output=True, check=False).returncode == 0

    def initialise_again(self):
        self.initialise("--token-label", LABEL, so_pin=self.so_pin)

    def initialise(self, *slot, so_pin=None):
        """The factory's SO PIN must be changed first, the first user PIN as well."""
        so = ("--login", "--login-type", "so", "--so-pin")
        self.tool(*slot, "--init-token", "--label", LABEL, "--so-pin", so_pin or self.factory_so_pin)
        self.on_token(*so, self.factory_so_pin, "--change-pin", "--new-pin", self.so_pin)
        self.on_token(*so, self.so_pin, "--init-pin", "--new-pin", self.first_pin)
        self.on_token("--login", "--pin", self.first_pin, "--change-pin", "--new-pin", self.pin)

    def ready(self):
        """Its files belong to the group already."""

    def stop_daemon(self):
        super().stop()

    def stop(self):
        self.stop_daemon()
        if enter_namespace():
            for path in ("/etc/group", self.CONFIG, self.STATE, "/run", self.SHARED):
                subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
            return
        for path in (self.folder, self.LOCKS + "/swtok", self.SHARED + "/var.lib.opencryptoki.swtok", "/run/pkcsslotd.pid",
                     "/run/pkcsslotd.socket"):
            harness.run(["find", path, "-type", "f,s", "-delete"] if os.path.exists(path) else ["true"])


@functools.cache
def enter_namespace():
    """Mounts and System V IPC of our own, for this process and what it starts. @return False: not allowed"""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, clone_newipc = 0x20000, 0x8000000
    if libc.unshare(clone_newns | clone_newipc) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


KINDS = {kind.__name__: kind for kind in (SoftHsm, Remote, Tpm, OpenCryptoki)}
