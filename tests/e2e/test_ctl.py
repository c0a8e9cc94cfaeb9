#!/usr/bin/python3
"""The operator's view: hsmdkim-ctl, its socket, hostile clients on it."""
import contextlib
import json
import os
import pwd
import re
import socket
import stat
import subprocess
import threading
import time

import faultcase
import harness

CTL = os.path.join(harness.BIN, "hsmdkim-ctl")
WRONG_PIN = "000000000"


class Base(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")
        self.socket = self.path("control")
        self.control = {"ControlSocket": self.socket}

    def ctl(self, *arguments, status=0, **options):
        result = subprocess.run([CTL, "-S", self.socket, *arguments], capture_output=True, text=True, timeout=100, check=False,
                                **options)
        self.assertEqual(status, result.returncode, result.stdout + result.stderr)
        return result.stderr if status else result.stdout

    def ask(self, *arguments):
        return json.loads(self.ctl("--json", *arguments))

    def token_row(self, name="token"):
        """Its row; a signer process that has just started has none yet."""
        def find():
            return next((row for row in self.ask("tokens")["tokens"] if row["name"] == name), None)
        return harness.wait_for(find, 20, f"there is a token {name}")

    def keys(self, count):
        """The rows, once the signer process has loaded its tables."""
        harness.wait_for(lambda: len(self.ask("keys")["keys"]) == count, 20, f"{count} keys")
        return self.ask("keys")["keys"]

    def all_up(self):
        harness.wait_for(lambda: all(row["up"] for row in self.ask("status")["processes"]), 20, "both processes are up")

    def ask_raw(self, data, timeout=30):
        """Send bytes, @return all that comes back."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            sock.connect(self.socket)
            sock.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while part := sock.recv(65536):
                    answer += part
            return answer


class Control(Base):
    def test_what_it_says_while_mail_is_signed(self):
        daemon = self.token_daemon(self.control, keys=("rsa2048", "ed25519"))
        for _ in range(5):
            self.assert_signed(daemon.send(harness.MESSAGE), ("rsa2048", "ed25519"))
        status = self.ask("status")
        self.assertEqual([["signer", 1, "yes"], ["milter", 1, "yes"]],
                         [[p["name"], p["up"], p["answers"]] for p in status["processes"]])
        self.assertEqual({daemon.signer_pid(), daemon.milter_pid()}, {p["pid"] for p in status["processes"]})
        self.assertEqual(daemon.process.pid, status["daemon"]["pid"])
        self.assertEqual((5, 5, 0), tuple(status["milter"][name] for name in ("seen", "signed", "deferred")))
        self.assertEqual((2, 1), (status["signer"]["keys"], status["signer"]["tokens"]))

        token = self.token_row()
        self.assertEqual(("in service", "closed", 0, 10, 0),
                         tuple(token[name] for name in ("state", "breaker", "pin_refused", "signatures", "failures")))
        self.assertTrue(1 <= token["sessions"] <= token["sessions_max"])
        self.assertTrue(0 < token["p50_us"] <= token["p99_us"])

        keys = {row["name"]: row for row in self.ask("keys")["keys"]}
        self.assertEqual({"rsa2048", "ed25519"}, set(keys))
        for name, kind, bits in (("rsa2048", "RSA", 2048), ("ed25519", "Ed25519", 256)):
            row = keys[name]
            self.assertEqual((kind, bits, 5, "example.com", name, self.token.uris[name]),
                             tuple(row[column] for column in ("type", "bits", "signatures", "domain", "selector", "where")))
            self.assertIn("not extractable", row["attributes"])
        self.assertEqual([keys["ed25519"]], self.ask("keys", "ed25519")["keys"])
        self.assertEqual("hsmdkim-ctl: no key has the name no-such-key; 'hsmdkim-ctl keys' lists them\n",
                         self.ctl("keys", "no-such-key", status=66))

    def test_tables_for_people(self):
        daemon = self.token_daemon(self.control)
        self.assert_signed(daemon.send(harness.MESSAGE))
        self.assertRegex(self.ctl("tokens"), r"(?m)^tokens:\n +name +state .*\n +token +in service +1 +closed ")
        self.assertRegex(self.ctl("status"), r"(?m)^milter:\n +in_flight +0\n +seen +1\n +signed +1\n")
        self.assertRegex(self.ctl("keys"), r"(?m)^ +rsa2048 +example\.com +rsa2048 +pkcs11:\S+ +RSA +2048 ")

    def test_key_files_and_text_keys_show_no_key(self):
        daemon = self.file_key_daemon(self.control)
        self.assertEqual("", self.keys(1)[0]["type"])
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        rows = self.keys(2)
        self.assertEqual(["%", "example.com"], [row["domain"] for row in rows])
        self.assertEqual(["RSA", 2048, 1, self.path("key.pem")], [rows[1][c] for c in ("type", "bits", "signatures", "where")])
        self.assertEqual(1, self.ask("status")["signer"]["file_signatures"])
        with open(self.path("key.pem"), encoding="ascii") as file:
            pem = file.read()
        text = "".join(pem.splitlines()[1:-1])
        self.write("KeyTable", f"inline example.com:inline:{text}\n")
        self.write("SigningTable", "example.com inline\n")
        daemon.configure(KeyTable=self.path("KeyTable"), SigningTable=self.path("SigningTable"), Domain=None, Selector=None,
                         KeyFile=None)
        self.ctl("reload")
        self.keys(1)
        answer = self.ctl("--json", "keys")
        self.assertEqual("text in the KeyTable", json.loads(answer)["keys"][0]["where"])
        self.assertNotIn(text[40:80], answer)

    def test_why_a_key_cannot_be_used(self):
        daemon = self.token_daemon(self.control, allowed=["cannot be used", "cannot sign", "error loading key", "signer process: (ended|starts)"])
        later = self.path("later.pem")
        with open(self.path("KeyTable"), "a", encoding="utf-8") as file:
            file.write(f"later example.org:later:{later}\nnowhere example.net:nowhere:pkcs11:token=dkim;object=nowhere\n")
        with open(self.path("SigningTable"), "a", encoding="utf-8") as file:
            file.write("*@example.org later\n*@example.net nowhere\n")
        self.ctl("reload")
        daemon.expect("3 of 3 keys checked, 2 cannot be used", 30)  # by a new signer process, for a token lacks a key
        rows = {row["name"]: row for row in self.ask("keys")["keys"]}
        for name, detail in (("later", later), ("nowhere", "object=nowhere")):
            self.assertEqual("private key not found", rows[name]["last_error"])
            self.assertIn(detail, rows[name]["last_error_detail"])
            self.assertTrue(0 <= rows[name]["last_error_age_s"] < 60)
        self.assertEqual(("", None, ""), tuple(rows["rsa2048"][c] for c in ("last_error", "last_error_age_s", "last_error_detail")))
        table = self.ctl("keys")
        self.assertRegex(table, r"(?m)^ +nowhere .* private key not found +\d+$")
        self.assertNotIn("last_error_detail", table)
        # It is there now, and signs.
        self.zone["later._domainkey.example.org"] = harness.make_key_file(later)
        self.assert_signed(daemon.send(harness.MESSAGE.replace(b"alice@example.com", b"alice@example.org")), ("later",))
        row = self.ask("keys", "later")["keys"][0]
        self.assertEqual((1, "", None), (row["signatures"], row["last_error"], row["last_error_age_s"]))

    def test_a_key_that_two_tokens_have_another_of(self):
        harness.need_token(self)
        token = harness.TokenDirectory(self.path("token")).make()
        token.make("third", "rsa2048=rsa:2048")
        self.write("TokenTable", "".join(f"{name} pkcs11:token={name}?module-path={harness.SOFTHSM}&pin-source=file:{token.pin_file}\n"
                                         for name in ("dkim", "third")))
        token.tokens["rsa2048"], token.uris["rsa2048"] = "dkim", "pkcs11:object=rsa2048"
        daemon = self.token_daemon({**self.control, "TokenTable": self.path("TokenTable"), "PKCS11Module": None, "PKCS11PinSource": None},
                                   token=token, allowed=["cannot be used", "different keys"])
        daemon.expect("1 of 1 keys checked, 1 cannot be used", 30)
        row = self.ask("keys", "rsa2048")["keys"][0]
        self.assertEqual("more than one match", row["last_error"])
        self.assertRegex(row["last_error_detail"], "different keys on token .*: add token= to the URI")

    def test_a_reload_of_bad_tables(self):
        """The log has every bad row of every table, once; who asked for the reload gets the first; nothing is half-loaded."""
        daemon = self.file_key_daemon(self.control)
        self.write("KeyTable", f"k1 example.com:other:{self.path('key.pem')}\nk2\nk3 nothing\n")
        self.write("SigningTable", "example.com k1\nexample.org nosuch\nexample.net\n")
        self.write("hosts", "127.0.0.1\n10.0.0.1/8\n")
        daemon.configure(KeyTable=self.path("KeyTable"), SigningTable=self.path("SigningTable"), InternalHosts=self.path("hosts"),
                         Domain=None, Selector=None, KeyFile=None)
        daemon.allowed += [r"KeyTable:|SigningTable:|hosts:|stays"]
        mark = daemon.log_mark()
        answer = self.ctl("reload", status=75)
        self.assertRegex(answer, r"KeyTable:2: 'k2' has no value|hosts:2: InternalHosts: ")
        self.assertEqual(1, len(answer.splitlines()), answer)
        daemon.expect("the configuration in force stays", since=mark)
        log = daemon.log()[mark:]
        for text in ("KeyTable:2: 'k2' has no value", "KeyTable:3: key 'k3': ", "SigningTable:2: 'example.org' -> 'nosuch' names",
                     "SigningTable:3: 'example.net' has no value", "hosts:2: InternalHosts: '10.0.0.1/8'"):
            self.assertEqual(1, log.count(text), log)
        self.assertIn("also wrong: ", log)
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.zone["new._domainkey.example.com"] = harness.make_key_file(self.path("new.pem"))
        for name, text in (("KeyTable", f"k1 example.com:new:{self.path('new.pem')}\n"), ("SigningTable", "example.com k1\n"),
                           ("hosts", "127.0.0.1\n")):
            self.write(name, text)
        self.assertEqual("", self.ctl("reload"))
        self.assert_signed(daemon.send(harness.MESSAGE), ("new",))

    def test_reload(self):
        daemon = self.file_key_daemon(self.control)
        before = self.ask("status")["daemon"]
        self.assertEqual("", self.ctl("reload"))
        daemon.expect(r"control socket: uid \d+ asks for reload")
        after = self.ask("status")["daemon"]
        self.assertEqual((before["generation"] + 1, 1, 0, "ok"),
                         tuple(after[name] for name in ("generation", "reloads", "failed_reloads", "last_reload")))
        daemon.allowed += [r"no such|No such|nowhere|stays"]
        for settings, words in (({"KeyFile": self.path("nowhere")}, "nowhere"), ({"KeyFile": self.path("key.pem"),
                                "NoSuchSetting": "1"}, "NoSuchSetting")):
            daemon.allowed.append(words)
            daemon.configure(**settings)
            self.assertIn(words, self.ctl("reload", status=75))
        status = self.ask("status")["daemon"]
        self.assertEqual((after["generation"], 2), (status["generation"], status["failed_reloads"]))
        self.assertIn("NoSuchSetting", status["last_reload"])
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))

    def test_reload_tells_what_the_log_warns_of(self):
        daemon = self.file_key_daemon(self.control, allowed=["AllowSHA1Only", "UMask", "Domain", "can match"])
        since = daemon.log_mark()
        daemon.configure(UMask="0077", Domain="example.com,exa mple.com")
        warnings = [row["text"] for row in self.ask("reload")["warnings"]]
        self.assertEqual(2, len(warnings), warnings)
        for warning in warnings:  # of the supervisor, and of the milter process
            daemon.expect(re.escape("warning: " + warning), since=since)
        daemon.configure(UMask=None, Domain="example.com")
        self.assertEqual([], self.ask("reload")["warnings"])
        # Those of a generation are not the next one's; there is an end to them.
        with open(daemon.conf, "a", encoding="utf-8") as file:
            file.write("AllowSHA1Only yes\n" * 100)
        result = subprocess.run([CTL, "-S", self.socket, "reload"], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual((0, "", 65), (result.returncode, result.stdout, result.stderr.count("hsmdkim-ctl: warning: ")), result.stderr)
        self.assertIn("hsmdkim-ctl: warning: 36 more: see the log\n", result.stderr)
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))

    def test_wrong_use(self):
        for arguments in ((), ("stop",), ("status", "x"), ("relogin",), ("relogin", "a", "b"), ("--bad", "status")):
            with self.subTest(arguments=arguments):
                self.assertIn("hsmdkim-ctl", self.ctl(*arguments, status=64))
        self.assertIn("is hsmdkim running", self.ctl("status", status=69))
        conf = self.write("conf", "Mode s\n")
        result = subprocess.run([CTL, "-x", conf, "status"], capture_output=True, text=True, check=False)
        self.assertEqual((78, True), (result.returncode, "ControlSocket" in result.stderr))

    def test_the_socket_comes_from_the_configuration(self):
        daemon = self.file_key_daemon(self.control)
        result = subprocess.run([CTL, "-x", daemon.conf, "status"], capture_output=True, text=True, check=True)
        self.assertRegex(result.stdout, r"(?m)^processes:\n.*\n +signer ")

    def test_children_that_are_gone(self):
        """A process that hangs or starts again is told, the rest of the answer comes all the same."""
        daemon = self.file_key_daemon(self.control, allowed=[r"process: ", r"signer"])
        signer = daemon.signer_pid()
        os.kill(signer, harness.signal.SIGSTOP)
        try:
            self.assertIn("does not answer", self.ctl("tokens", status=75))
            status = self.ask("status")
            self.assertEqual(["no", "yes"], [process["answers"] for process in status["processes"]])
            self.assertNotIn("tokens", status)
        finally:
            os.kill(signer, harness.signal.SIGKILL)

        def back():
            rows = {row["name"]: row for row in self.ask("status")["processes"]}
            return rows["signer"]["restarts"] == 1 and rows["signer"]["up"] == 1 and rows["milter"]["restarts"] == 0
        harness.wait_for(back, 20, "the signer process is back")
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))


class RateLimit(Base):
    """TokenRateLimit: three at once, then one each two seconds."""
    limit = {"TokenRateLimit": "3/6s"}

    def assert_limited(self, daemon, selector):
        """Ten messages at once are too many; the last one that is sent is refused. @return how many were"""
        since = daemon.log_mark()
        started = time.monotonic()
        outcomes = []
        while len(outcomes) < 10 or outcomes[-1].signatures:
            outcomes.append(daemon.send(harness.MESSAGE))
        room = 3 + (time.monotonic() - started) / 2
        refused = [outcome for outcome in outcomes if not outcome.signatures]
        self.assertTrue(3 <= len(outcomes) - len(refused) <= room, f"{len(refused)} of {len(outcomes)} deferred, there is room for {room}")
        for outcome in outcomes:
            if outcome.signatures:
                self.assert_signed(outcome, (selector,))
            else:
                self.assertEqual(b"451 4.7.0 resource unavailable", outcome.reply)
        daemon.expect(rf"cannot sign: d=example\.com s={selector} [^\n]*key is over its rate limit: the key has made 3 signatures in 6000 ms "
                      r"\(TokenRateLimit\); deferred \(On-TokenFailure\); see who sends so much; raise TokenRateLimit", since=since)
        return len(refused)

    def assert_counted(self, count):
        self.assertEqual(count, self.ask("status")["signer"]["rate_limited"])
        self.assertIn(f"\nhsmdkim_rate_limited_total {count}\n", self.ctl("metrics"))

    def test_one_key_of_a_token_is_over_its_limit(self):
        daemon = self.token_daemon({**self.control, **self.limit}, keys=("rsa2048",), allowed=["key is over its rate limit"])
        self.zone["ed25519._domainkey.example.org"] = self.token.record("ed25519")
        with open(self.path("KeyTable"), "a", encoding="ascii") as file:
            file.write(f"ed25519 example.org:ed25519:{self.token.uris['ed25519']}\n")
        with open(self.path("SigningTable"), "a", encoding="ascii") as file:
            file.write("*@example.org ed25519\n")
        self.ctl("reload")
        self.all_up()
        count = self.assert_limited(daemon, "rsa2048")
        self.assert_counted(count)
        self.assertEqual("key is over its rate limit", self.ask("keys", "rsa2048")["keys"][0]["last_error"])
        # The token is well, and so are its other keys.
        row = self.token_row()
        self.assertEqual(("in service", "closed", 0), tuple(row[name] for name in ("state", "breaker", "failures")))
        other = harness.MESSAGE.replace(b"alice@example.com", b"alice@example.org")
        for _ in range(3):
            self.assert_signed(daemon.send(other), ("ed25519",))
        self.assertEqual("", self.ask("keys", "ed25519")["keys"][0]["last_error"])
        self.assert_signed(harness.wait_for(lambda: next(filter(lambda o: o.signatures, [daemon.send(harness.MESSAGE)]), None), 20,
                                            "it signs again"))
        self.assertEqual("", self.ask("keys", "rsa2048")["keys"][0]["last_error"])

    def test_a_key_file(self):
        daemon = self.file_key_daemon({**self.control, **self.limit}, allowed=["key is over its rate limit"])
        self.assert_counted(self.assert_limited(daemon, "sel"))


class Idle(Base, faultcase.FaultCase):
    def test_a_dead_token_is_seen_before_mail_meets_it(self):
        """Nobody sends mail; the token is signed with every 20 s, with a key that was only opened so far."""
        self.start(**self.control)
        harness.wait_for(lambda: self.token_row()["up"] == 1, 20, "the token is in service")
        self.fault("C_Sign all return CKR_DEVICE_ERROR")
        row = harness.wait_for(lambda: next((r for r in self.ask("tokens")["tokens"] if r["up"] == 0), None), 60, "it is out of service")
        self.assertIn("CKR_DEVICE_ERROR", row["last_error"])
        self.fault("")
        harness.wait_for(lambda: self.token_row()["up"] == 1, faultcase.RECOVERY_S, "it is back in service")


class Hostile(Base):
    def test_rights_of_the_socket(self):
        daemon = self.file_key_daemon({**self.control, "UMask": "0"})
        harness.wait_for(lambda: os.path.exists(self.socket), 20, "the control socket is there")
        mode = os.stat(self.socket)
        self.assertEqual((0o600, os.geteuid()), (stat.S_IMODE(mode.st_mode), mode.st_uid))
        if os.geteuid() == 0:
            script = f"import socket; socket.socket(socket.AF_UNIX).connect({self.socket!r})"
            result = subprocess.run(["setpriv", "--reuid", harness.USER, "--clear-groups", "/usr/bin/python3", "-c", script],
                                    capture_output=True, text=True, check=False)
            self.assertIn("PermissionError", result.stderr)
        daemon.stop()
        self.assertFalse(os.path.exists(self.socket), "the socket goes with the daemon")

    def test_owner_of_the_socket(self):
        harness.need(self, os.geteuid() == 0, "root")
        self.file_key_daemon({**self.control, "ControlUserID": "mail"})

        def owner():
            with contextlib.suppress(FileNotFoundError):
                return pwd.getpwuid(os.stat(self.socket).st_uid).pw_name
            return None
        # It may follow the milter's, and is there before it is given away.
        harness.wait_for(lambda: owner() == "mail", 20, "the control socket is mail's")
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.socket).st_mode))

    def test_socket_that_cannot_be_bound(self):
        daemon = self.file_key_daemon({"ControlSocket": self.path("no", "such", "folder")}, start=False)
        result = subprocess.run([daemon.program, "-f", "-x", daemon.conf], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual((69, True), (result.returncode, "ControlSocket: " in result.stderr), result.stderr)

    def test_a_daemon_that_accepts_nobody(self):
        """Its queue of connections is full: the tool waits as long as it was told, and says so."""
        harness.need(self, os.access(CTL, os.X_OK), CTL)
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(self.socket)
            listener.listen(0)
            for _ in range(4):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(self.socket)
            started = time.monotonic()
            self.assertIn("takes no connections", self.ctl("-t", "1", "status", status=69))
            self.assertLess(time.monotonic() - started, 20)

    def test_garbage(self):
        daemon = self.file_key_daemon(self.control)
        for data, answer in ((b"\n", b"error no such command"), (b"\xff\xfe\x00\n", b"error no such command"),
                             (b"status now\n", b"error the command takes no"), (b"relogin \n", b"error name a token"),
                             (b"keys a\x00b\n", b"error the argument holds a NUL"), (b"tokens\r\nkeys\n", b"ok\n@tokens"),
                             (b"relogin no\x1bsuch\n", b"error "), (b"x" * 5000, b""), (b"STATUS\n", b"error no such")):
            with self.subTest(data=data[:20]):
                daemon.allowed.append("no token has this name")
                reply = self.ask_raw(data)
                self.assertTrue(reply.startswith(answer) and (not answer or reply.endswith(b"\n.\n")), reply)
                self.assertNotIn(b"\x1b", reply)
        self.assertEqual(2, len(self.ask("status")["processes"]))

    def test_a_hundred_clients_and_slow_ones_block_nobody(self):
        daemon = self.file_key_daemon(self.control)
        clients = []
        try:
            for number in range(100):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                clients.append(client)
                with contextlib.suppress(OSError):
                    client.connect(self.socket)
                    client.send((b"", b"stat", b"keys\n", b"status\n")[number % 4])  # and never reads
            for _ in range(3):
                self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
                self.assertEqual(2, len(self.ask("status")["processes"]))
        finally:
            for client in clients:
                client.close()
        self.assertEqual(3, self.ask("status")["milter"]["signed"])
        count = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
        for _ in range(20):
            self.ask("status")
        self.assertEqual(count, len(os.listdir(f"/proc/{daemon.process.pid}/fd")), "no descriptor is left behind")

    def test_many_askers_while_mail_is_signed(self):
        daemon = self.token_daemon(self.control)
        stop = threading.Event()
        errors = []

        def pester(line):
            while not stop.is_set():
                try:
                    reply = self.ask_raw(line)
                    if reply and not reply.endswith(b".\n"):
                        errors.append(reply)
                except OSError as error:
                    errors.append(error)
        threads = [threading.Thread(target=pester, args=(line,)) for line in (b"status\n", b"keys\n", b"metrics\n") * 3]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                self.assert_signed(daemon.send(harness.MESSAGE))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], errors)
        self.assertEqual(20, self.ask("status")["milter"]["signed"])


class Relogin(Base):
    def setUp(self):
        super().setUp()
        harness.need_token(self)
        self.token = harness.TokenDirectory(self.path("token")).make()
        self.right_pin = self.token.pin

    def write_pin(self, pin, name="daemon-pin"):
        return self.write(name, pin + "\n", 0o600)

    def wrong_pin_daemon(self):
        daemon = self.token_daemon({**self.control, "PKCS11PinSource": "file:" + self.write_pin(WRONG_PIN)}, token=self.token,
                                   allowed=[r"PIN", r"cannot sign", r"out of service", r"cannot be used"])
        self.refused()
        return daemon

    def refused(self):
        harness.wait_for(lambda: self.token_row()["pin_refused"] == 1, 20, "the PIN is refused")

    def test_wrong_pin_then_the_right_one(self):
        daemon = self.wrong_pin_daemon()
        row = self.token_row()
        self.assertEqual(("out of service", "ended", 0), (row["state"], row["breaker"], row["up"]))
        self.assertRegex(row["last_error"], "PIN")
        self.assertEqual(b"451", daemon.send(harness.MESSAGE).reply[:3])
        self.assertGreaterEqual(self.ask("status")["milter"]["deferred"], 1)
        self.write_pin(self.right_pin)
        self.ctl("relogin", "token")
        daemon.expect("token token: its PIN was read anew")
        self.assertEqual(self.token_row()["up"], 1)
        self.assert_signed(daemon.send(harness.MESSAGE))
        # A signer process that dies must start with the new PIN.
        os.kill(daemon.signer_pid(), harness.signal.SIGKILL)
        daemon.allowed.append("signer process: ")
        harness.wait_for(lambda: any(row["up"] for row in self.ask("status").get("tokens", ())), 20, "in service again")
        self.assert_signed(daemon.send(harness.MESSAGE))

    def test_one_more_attempt_and_no_more(self):
        daemon = self.wrong_pin_daemon()
        mark = daemon.log_mark()
        self.assertRegex(self.ctl("relogin", "token", status=75), "token token is not in service: .*PIN")
        daemon.expect(r"PIN.*(refused|INCORRECT)|CKR_PIN", since=mark)
        self.refused()
        os.kill(daemon.signer_pid(), harness.signal.SIGKILL)
        daemon.allowed.append("signer process: ")
        daemon.expect("its PIN was refused before and is not tried again", 20, mark)

    def test_a_token_that_works_goes_on(self):
        self.write_pin(self.right_pin)
        daemon = self.token_daemon({**self.control, "PKCS11PinSource": "file:" + self.path("daemon-pin")}, token=self.token)
        self.assert_signed(daemon.send(harness.MESSAGE))
        before = self.token_row()["signatures"]
        self.ctl("relogin", "token")
        self.assertEqual(before, self.token_row()["signatures"], "it is the same login")
        self.assert_signed(daemon.send(harness.MESSAGE))
        self.write("SigningTable", "broken line\n")
        self.ctl("relogin", "token")  # tables on disk do not matter
        self.assert_signed(daemon.send(harness.MESSAGE))

    def test_no_such_token(self):
        daemon = self.wrong_pin_daemon()
        daemon.allowed.append("no token has this name")
        self.assertIn("no token has this name", self.ctl("relogin", "nobody", status=75))
        os.unlink(self.path("daemon-pin"))
        daemon.allowed.append("daemon-pin")
        self.assertIn("daemon-pin", self.ctl("relogin", "token", status=75))

    def test_only_the_one_that_is_named(self):
        self.token.make("other", "spare=rsa:2048")
        self.write_pin(WRONG_PIN)
        self.write_pin(WRONG_PIN, "other-pin")
        self.write("TokenTable", "".join(
            f"{name} pkcs11:token={label}?module-path={harness.SOFTHSM}&pin-source=file:{self.path(pin)}\n"
            for name, label, pin in (("a", "dkim", "daemon-pin"), ("b", "other", "other-pin"))))
        daemon = self.token_daemon({**self.control, "TokenTable": "file:" + self.path("TokenTable"), "PKCS11Module": None,
                                    "PKCS11PinSource": None}, token=self.token, allowed=["PIN", "out of service", "cannot"])
        for name in "ab":
            harness.wait_for(lambda name=name: self.token_row(name)["pin_refused"], 20, "refused")
        self.write_pin(self.right_pin)
        mark = daemon.log_mark()
        self.ctl("relogin", "a")
        harness.wait_for(lambda: self.token_row("a")["up"], 20, "in service")
        self.assertEqual(1, self.token_row("b")["pin_refused"])
        self.assertNotRegex(daemon.log()[mark:], r"token b: .*CKR_PIN")
        daemon.expect("token b: its PIN was refused before and is not tried again", since=mark)
        self.assert_signed(daemon.send(harness.MESSAGE))


class Manager(Base):
    """What the service manager is told."""

    def setUp(self):
        super().setUp()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notify.close)
        self.notify.bind(self.path("notify"))
        os.chmod(self.path("notify"), 0o666)
        self.environment = {"NOTIFY_SOCKET": self.path("notify")}

    def next_state(self, wanted, timeout=30):
        """Read until this one comes. @return True, or False when it does not within the time"""
        self.notify.settimeout(timeout)
        deadline = time.monotonic() + timeout
        with contextlib.suppress(socket.timeout, BlockingIOError):
            while time.monotonic() < deadline:
                if wanted in self.notify.recv(4096).split(b"\n"):
                    return True
        return False

    def test_ready_after_the_tokens_were_tried(self):
        self.token_daemon(self.control, environment=self.environment)
        self.assertTrue(self.next_state(b"READY=1"))
        self.assertEqual("in service", self.ask("tokens")["tokens"][0]["state"])
        self.ctl("reload")
        self.assertTrue(self.next_state(b"RELOADING=1"))
        self.assertTrue(self.next_state(b"READY=1"))

    def test_ready_waits_for_a_slow_token(self):
        harness.need(self, os.path.exists(faultcase.FAULTMOD), faultcase.FAULTMOD)
        script = self.write("script", "C_Login all delay 2000\n", 0o644)
        self.token_daemon({**self.control, "PKCS11Module": faultcase.FAULTMOD, "TokenTimeout": "8s"}, environment={
            **self.environment, "HSMDKIM_FAULT_MODULE": harness.SOFTHSM, "HSMDKIM_FAULT_SCRIPT": script,
            "HSMDKIM_FAULT_LOG": self.write("calls", "", 0o666)})
        self.assertTrue(self.next_state(b"READY=1"))
        self.assertEqual("in service", self.ask("tokens")["tokens"][0]["state"])

    def test_watchdog(self):
        daemon = self.file_key_daemon(self.control, environment={**self.environment, "WATCHDOG_USEC": "900000"},
                                      allowed=["does not answer", "signer process: "])
        self.assertTrue(self.next_state(b"READY=1"))
        for _ in range(3):
            self.assertTrue(self.next_state(b"WATCHDOG=1"))
        for kind in ("signer", "milter"):
            pid = daemon.child(kind)
            mark = daemon.log_mark()
            os.kill(pid, harness.signal.SIGSTOP)
            daemon.expect(f"{kind} process: does not answer", 30, mark)
            self.notify.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while self.notify.recv(4096):
                    pass
            self.assertFalse(self.next_state(b"WATCHDOG=1", 2), "silence while a child hangs")
            os.kill(pid, harness.signal.SIGCONT)
            self.assertTrue(self.next_state(b"WATCHDOG=1"))
        # One that died is started again: that is no reason to stop everything.
        os.kill(daemon.signer_pid(), harness.signal.SIGKILL)
        for _ in range(3):
            self.assertTrue(self.next_state(b"WATCHDOG=1"))
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))


if __name__ == "__main__":
    harness.main()
