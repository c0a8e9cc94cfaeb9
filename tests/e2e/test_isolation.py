#!/usr/bin/python3
"""The borders of docs/ARCHITECTURE.md, read from /proc of the running processes."""
import os
import shutil
import re

import harness


def read(path, mode="r"):
    with open(path, mode, **({} if "b" in mode else {"encoding": "utf-8", "errors": "replace"})) as file:
        return file.read()


def mapped(pid):
    """Paths of all files that are mapped."""
    return {line.split(None, 5)[5].strip() for line in read(f"/proc/{pid}/maps").splitlines() if len(line.split()) > 5}


def opened(pid):
    """What the descriptors point at."""
    return {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def status(pid):
    return dict(re.findall(r"^(\w+):\s*(.*)$", read(f"/proc/{pid}/status"), re.M))


class Isolation(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need(self, os.geteuid() == 0, "root, to read /proc of processes that are not dumpable")
        # a token key and a key file in one KeyTable
        harness.need_token(self)
        self.record = harness.make_key_file(self.path("key.pem"))
        self.daemon_ = self.token_daemon(keys=("rsa2048", "ed25519"), start=False)
        with open(self.path("KeyTable"), "a", encoding="ascii") as file:
            file.write(f"file example.com:file:{self.path('key.pem')}\n")
        with open(self.path("SigningTable"), "a", encoding="ascii") as file:
            file.write("*@example.com file\n")
        self.zone["file._domainkey.example.com"] = self.record
        self.daemon_.start()
        self.assert_signed(self.daemon_.send(harness.MESSAGE), ("rsa2048", "ed25519", "file"))
        self.secrets = {"PIN": self.token.pin.encode(), "key file": read(self.path("key.pem"), "rb")[300:400]}

    def memory_holds(self, pid, needle):
        """Whether the readable memory of a process holds these bytes."""
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in read(f"/proc/{pid}/maps").splitlines():
                span, rights = line.split()[:2]
                if not rights.startswith("r") or "[v" in line:
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                if end - start > 1 << 30:
                    continue  # a sanitizer's shadow
                try:
                    memory.seek(start)
                    if needle in memory.read(end - start):
                        return True
                except (OSError, ValueError):
                    continue
        return False

    def test_milter_has_no_module_no_key_no_pin(self):
        pid = self.daemon_.milter_pid()
        for path in mapped(pid) | set(opened(pid).values()):
            self.assertNotRegex(path, r"softhsm|pkcs11|libp11|p11-kit")
            self.assertFalse(path.startswith(self.path("token")), path)
            self.assertNotIn(path, (self.path("key.pem"), self.path("KeyTable"), self.token.pin_file))

    def test_milter_memory_has_no_secret(self):
        pid = self.daemon_.milter_pid()
        for what, needle in self.secrets.items():
            self.assertFalse(self.memory_holds(pid, needle), what)
        # the search itself works: the SigningTable is there
        self.assertTrue(self.memory_holds(pid, b"*@example.com"))

    def test_supervisor_has_no_module(self):
        for path in mapped(self.daemon_.process.pid):
            self.assertNotRegex(path, r"softhsm|libp11")

    def test_signer_has_the_module_and_no_milter(self):
        pid = self.daemon_.signer_pid()
        paths = mapped(pid)
        self.assertTrue(any("softhsm" in path for path in paths))
        self.assertFalse(any("libmilter" in path or "libunbound" in path for path in paths))

    def test_children_gain_no_privileges_and_are_not_dumpable(self):
        for kind in ("milter", "signer"):
            pid = self.daemon_.child(kind)
            self.assertEqual("1", status(pid)["NoNewPrivs"], kind)
            # /proc/PID of a process that is not dumpable belongs to root, whoever it runs as; its limit says no core
            self.assertRegex(read(f"/proc/{pid}/limits"), r"Max core file size\s+0\s+0", kind)
        self.assertEqual("2", status(self.daemon_.milter_pid())["Seccomp"])

    def test_pin_is_in_no_argument_and_no_environment(self):
        pin = self.token.pin.encode()
        for pid in (self.daemon_.process.pid, self.daemon_.milter_pid(), self.daemon_.signer_pid()):
            for name in ("cmdline", "environ"):
                self.assertNotIn(pin, read(f"/proc/{pid}/{name}", "rb"))
        self.assertNotIn(self.token.pin, self.daemon_.log())


class Users(harness.Case):
    """Started as root: the children run as the users that the configuration names."""

    def setUp(self):
        super().setUp()
        harness.need(self, os.geteuid() == 0, "root")

    def test_one_user_for_both(self):
        daemon = self.token_daemon({"UserID": "nobody"})
        self.assert_signed(daemon.send(harness.MESSAGE))
        for kind in ("milter", "signer"):
            self.assertNotIn("0", status(daemon.child(kind))["Uid"].split(), kind)
            self.assertNotIn("0", status(daemon.child(kind))["Gid"].split(), kind)
            self.assertEqual("0000000000000000", status(daemon.child(kind))["CapEff"], kind)

    def test_signer_as_another_user(self):
        """The token is the signer's alone: the milter's user can't read it."""
        token = harness.TokenDirectory(self.path("token")).make()
        token.give("daemon")
        daemon = self.token_daemon({"UserID": "nobody", "SignerUserID": "daemon"}, token=token)
        self.assert_signed(daemon.send(harness.MESSAGE))
        uids = [status(daemon.child(kind))["Uid"].split()[0] for kind in ("milter", "signer")]
        self.assertEqual(2, len(set(uids)))
        self.assertNotIn("0", uids)

    def test_programs_in_a_folder_for_root_only(self):
        """As when the checkout lies in /root: the programs are opened before privileges fall."""
        folder = self.path("root")
        os.mkdir(folder, 0o700)
        for name in ("hsmdkim", "hsmdkim-signer"):
            shutil.copy(os.path.join(harness.BIN, name), folder)
        daemon = self.token_daemon({"UserID": "nobody"}, start=False)
        daemon.program = os.path.join(folder, "hsmdkim")
        daemon.start()
        self.assert_signed(daemon.send(harness.MESSAGE))
        for kind in ("milter", "signer"):
            self.assertEqual("hsmdkim-" + kind, status(daemon.child(kind))["Name"])

    def test_files_for_root_only(self):
        """Key and PIN files that only root can read serve children that are not root."""
        daemon = self.file_key_daemon({"UserID": "nobody"})
        self.assertEqual(0o600, os.stat(self.path("key.pem")).st_mode & 0o777)
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))


if __name__ == "__main__":
    harness.main()
