"""hsmdkim-rotate against real name servers and a running daemon: every state, killed at every step, mail verified throughout."""
import base64
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import dkim
import dns.resolver

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
from common import BIN, KILLSHIM, closed_output, tool  # noqa: E402
from nameserver import Bind, Knot, find_program, free_port  # noqa: E402

DOMAIN = "example.com"


class RotateCase(harness.Case):
    """A daemon with one key on a token, its record in a BIND that takes updates with TSIG."""

    where = "token"
    user = "root"  # whom the daemon's processes run as

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o711)
        self.records = {}  # beside those of the server
        self.tsig_text = subprocess.run([find_program("tsig-keygen"), "up"], check=True, capture_output=True, text=True).stdout
        self.tsig = self.write("tsig", self.tsig_text)
        settings = {"PidFile": self.path("pid"), **({"UserID": self.user} if os.geteuid() == 0 else {})}
        self.allowed = []
        if self.where == "token":
            record, more = self.make_token()
            settings.update(more)
        else:
            self.environment, self.uri = {}, self.path("old.pem")
            record = harness.make_key_file(self.uri, owner=self.user)
        self.server = self.start_server(record)
        self.write("KeyTable", "# the table\nmail %s:old:%s\n" % (DOMAIN, self.uri))
        self.write("SigningTable", "*@%s mail\n" % DOMAIN)
        settings.update({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable")})
        self.daemon_ = self.daemon(settings, self.environment, allowed=self.allowed)
        self.reload = self.script("reload", "kill -HUP %d" % self.daemon_.process.pid)

    def make_token(self):
        """With the key that is to be replaced. @return (its record, the daemon's settings for the token)"""
        self.token = harness.TokenDirectory(self.path("token")).make("dkim", "mail=rsa:2048")
        self.environment, self.uri = self.token.environment(), self.token.uris["mail"]
        return self.token.record("mail"), {"PKCS11Module": harness.SOFTHSM, "PKCS11PinSource": "file:" + self.token.pin_file}

    def start_server(self, record):
        server = Bind(self.path("named"), {DOMAIN: "@ NS ns1\nns1 A 127.0.0.1\nold._domainkey TXT %s\n" % txt(record)},
                      extra=self.tsig_text, zone_options={DOMAIN: "allow-update { key up; };"})
        self.addCleanup(server.stop)
        return server

    def script(self, name, *lines):
        path = self.write(name, "#!/bin/sh\nset -e\n" + "".join(line + "\n" for line in lines), mode=0o700)
        return path

    def options(self, *more):
        return ("-x", self.daemon_.conf, "--state", self.path("state"), "--nameserver", self.server.at(), "--port", str(self.server.port),
                "--timeout", "15", "--publish", "nsupdate", "--tsig", self.tsig, "--server", self.server.at(), "--reload", self.reload,
                "--keep", "1", "--grace", "1", *more)

    def rotate(self, command, *more):
        return tool("hsmdkim-rotate", *self.options(*more), command, env=self.environment, timeout=120)

    def good(self, command, *more):
        run = self.rotate(command, *more)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run

    def phase(self):
        try:
            with open(self.path("state"), encoding="ascii") as text:
                return re.search(r"^phase (\w+)$", text.read(), re.M)[1]
        except FileNotFoundError:
            return None

    def state(self):
        with open(self.path("state"), encoding="ascii") as text:
            return text.read()

    def row(self):
        with open(self.path("KeyTable"), encoding="ascii") as text:
            text = text.read()
        self.assertTrue(text.startswith("# the table\nmail "))
        return text.split("\n")[1].split(None, 1)[1].split(":", 2)

    def look_up(self, name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        if name.rstrip(".") in self.records:
            return self.records[name.rstrip(".")]
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [self.server.address], self.server.port
        try:
            answer = resolver.resolve(name, "TXT")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        return b"".join(list(answer)[0].strings)

    def sign_and_verify(self):
        """One message through the daemon. @return the selector; fails unless dkimpy accepts it by what DNS says now"""
        outcome = self.daemon_.send(harness.MESSAGE)
        self.assertTrue(outcome.accepted, outcome)
        self.assertEqual(len(outcome.signatures), 1)
        self.assertTrue(dkim.DKIM(outcome.message.wire()).verify(dnsfunc=self.look_up))
        return re.search(r"\bs=([\w.-]+);", os.fsdecode(outcome.signatures[0]))[1]

    def killed(self, when, path, *more):
        """A run that gets SIGKILL before or after path is replaced."""
        run = tool("hsmdkim-rotate", *self.options(*more), "run", timeout=120, env={
            **self.environment, "LD_PRELOAD": KILLSHIM, "KILLSHIM_PATH": path, "KILLSHIM_WHEN": when})
        self.assertEqual(run.returncode, -9, run.stdout + run.stderr)

    def kill_at_every_step(self, check):
        """Each step is done and not noted, done again, noted and nothing else."""
        options = ("--keep", "0", "--grace", "0", "--every", "1")
        phases = ["chosen", "made", "published", "visible", "switched", "keeping", "revoked", "done"]
        with Load(self) as load:
            for before, after in zip([None] + phases, phases):
                if after == "switched":
                    self.killed("before", self.path("KeyTable"), *options)
                    self.assertEqual(self.row()[1], "old")
                    self.killed("after", self.path("KeyTable"), *options)
                    self.assertNotEqual(self.row()[1], "old")
                self.killed("before", self.path("state"), *options)
                self.assertEqual(self.phase(), before)
                check(after)
                self.killed("after", self.path("state"), *options)
                self.assertEqual(self.phase(), after)
                check(after)
                if after == "keeping":
                    load.wait_for(self.row()[1])
        self.assertTrue(self.look_up("old._domainkey." + DOMAIN).endswith(b"p="))
        self.assertEqual(self.sign_and_verify(), self.row()[1])
        self.assertEqual(self.good("run", "--every", "1").stdout, "")

    def stop_at_random(self, number):
        dice = random.Random(6)
        stopped = 0
        with Load(self) as load:
            for attempt in range(1, 81):  # later and later, so that a fast host is stopped and a slow one comes to the end
                with subprocess.Popen([os.path.join(BIN, "hsmdkim-rotate"), *self.options(), "run"], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env={**os.environ, **self.environment}) as process:
                    try:
                        process.wait(dice.uniform(0, 0.004 * attempt))
                    except subprocess.TimeoutExpired:
                        process.send_signal(number)
                        stopped += 1
                if self.phase() == "keeping":
                    break
            self.good("run")
            self.assertEqual(self.phase(), "keeping")
            load.wait_for(self.row()[1])
        self.assertGreater(stopped, 0)
        self.assertEqual(load.selectors, ["old", self.row()[1]])

    def private_keys(self):
        return self.token.tool("dkim", "--list-objects", "--type", "privkey").decode().count("Private Key Object")

    def wait_for_selector(self, selector):
        harness.wait_for(lambda: self.sign_and_verify() == selector, 60, "mail is signed with " + selector)


def txt(value):
    return " ".join('"%s"' % value[i:i + 250] for i in range(0, len(value), 250))


class Load:
    """Mail without end; every message must verify."""

    def __init__(self, case):
        self.case, self.stop, self.count, self.failure, self.selectors = case, threading.Event(), 0, None, []
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop.is_set():
            try:
                selector = self.case.sign_and_verify()
            except BaseException as failure:  # pylint: disable=broad-except
                self.failure = failure
                return
            self.count += 1
            if selector not in self.selectors:
                self.selectors.append(selector)

    def wait_for(self, selector):
        harness.wait_for(lambda: selector in self.selectors or self.failure, 60, "mail is signed with " + selector)

    def __enter__(self):
        """Returns when mail flows: a fast rotation must not be over before."""
        self.thread.start()
        harness.wait_for(lambda: self.count or self.failure, 60, "mail is signed")
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()
        if self.failure:
            raise self.failure


class EveryStep(RotateCase):
    def test_killed_before_and_after_each_note(self):
        made = ("made", "published", "visible", "switched", "keeping", "revoked")
        self.kill_at_every_step(lambda phase: self.assertEqual(self.private_keys(), 2 if phase in made else 1, phase))


class EveryStepWithFiles(RotateCase):
    where = "file"

    def test_killed_before_and_after_each_note(self):
        self.kill_at_every_step(lambda phase: self.assertEqual(os.path.exists(self.uri), phase != "done"))
        self.assertEqual(len([n for n in os.listdir(self.directory) if n.endswith(".private")]), 1)


class Reload(RotateCase):
    """A key that another process made a moment ago is there after the reload, and no message suffers."""

    rounds = 20

    def test_keys_made_a_moment_ago(self):
        with Load(self) as load:
            for i in range(self.rounds):
                selector = "r%d" % i
                run = tool("hsmdkim-genkey", "-x", self.daemon_.conf, "--token", "pkcs11:token=dkim", "-d", DOMAIN, "-s", selector, "-D",
                           self.directory, "--format", "plain", "--type", ("rsa", "ed25519")[i % 2], env=self.environment)
                self.assertEqual(run.returncode, 0, run.stderr)
                with open(self.path(selector + ".txt"), "rb") as record:
                    self.records["%s._domainkey.%s" % (selector, DOMAIN)] = record.read().strip()
                uri = re.search(r"pkcs11:\S+", run.stdout)[0]
                os.replace(self.write("KeyTable.new", "mail %s:%s:%s\n" % (DOMAIN, selector, uri)), self.path("KeyTable"))
                self.daemon_.signal(signal.SIGHUP)
                load.wait_for(selector)
        self.assertEqual(load.selectors, ["old"] + ["r%d" % i for i in range(self.rounds)])


class Life(RotateCase):
    def test_stopped_at_random_and_resumed(self):
        self.stop_at_random(signal.SIGTERM)  # SoftHSM's files do not survive a writer that gets SIGKILL
        self.assertEqual(self.private_keys(), 2)

    def test_a_whole_life(self):
        plan = self.good("plan").stdout
        for word in ("choose", "make", "publish", "see", "KeyTable", "reload", "revoke", "destroy"):
            self.assertIn(word, plan)
        self.assertFalse(os.path.exists(self.path("state")))
        with Load(self) as load:
            self.good("run")
            self.assertEqual(self.phase(), "keeping")
            selector = self.row()[1]
            self.assertRegex(selector, r"^s\d{8}$")
            load.wait_for(selector)
        self.assertEqual(load.selectors, ["old", selector])
        self.assertIn(b"p=MI", self.look_up("old._domainkey." + DOMAIN))
        self.assertIn("keeping since", self.good("status").stdout)
        self.good("run")  # a timer: nothing is due
        self.assertEqual(self.phase(), "keeping")
        self.good("run", "--keep", "0")
        self.assertEqual(self.phase(), "revoked")
        self.assertTrue(self.look_up("old._domainkey." + DOMAIN).endswith(b"p="))
        self.assertEqual(self.private_keys(), 2)
        self.good("run", "--grace", "0")
        self.assertEqual(self.phase(), "done")
        self.assertEqual(self.private_keys(), 1)
        self.assertEqual(self.sign_and_verify(), selector)
        self.good("run", "--every", "0")  # the same day again
        self.assertEqual(self.row()[1], selector + "b")
        self.wait_for_selector(selector + "b")

    def test_killed_between_each_effect_and_its_note(self):
        """The hook and the reload program do their work, then kill the rotation that called them."""
        update = "printf 'server %s %d\\nupdate delete %%s TXT\\nupdate add %%s 60 TXT \"%%s\"\\nsend\\n' \"$2.\" \"$2.\" \"$(echo \"$3\" | " \
                 "sed 's/.\\{200\\}/&\" \"/g')\" | nsupdate -k %s" % (self.server.address, self.server.port, self.tsig)
        once = "test -e %s || { touch %s; kill -9 $PPID; sleep 5; }"
        hook = self.script("hook", update, once % (self.path("killed-$1"), self.path("killed-$1")))
        self.reload = self.script("reload2", "kill -HUP %d" % self.daemon_.process.pid, once % (self.path("killed-r"), self.path("killed-r")))
        with Load(self):
            self.killed_by("--publish", hook)
            self.assertEqual(self.phase(), "made")
            self.killed_by("--publish", hook)
            self.assertEqual(self.phase(), "switched")
            self.good("run", "--publish", hook)
            self.assertEqual(self.phase(), "keeping")
            self.wait_for_selector(self.row()[1])
        self.killed_by("--publish", hook, "--keep", "0")
        self.assertEqual(self.phase(), "keeping")
        self.good("run", "--publish", hook, "--keep", "0", "--grace", "0")
        self.assertEqual(self.phase(), "done")
        self.assertEqual(self.private_keys(), 1)
        self.assertTrue(self.look_up("old._domainkey." + DOMAIN).endswith(b"p="))

    def killed_by(self, *options):
        run = self.rotate("run", *options)
        self.assertEqual(run.returncode, -9, run.stdout + run.stderr)

    def test_one_step_at_a_time(self):
        phases = []
        for _ in range(8):
            self.good("run", "--steps", "1", "--keep", "0", "--grace", "0", "--every", "1")
            phases.append(self.phase())
        self.assertEqual(phases, ["chosen", "made", "published", "visible", "switched", "keeping", "revoked", "done"])

    def test_rollback_before_and_after_the_switch(self):
        for steps in ("3", "20"):
            self.good("run", "--steps", steps, "--every", "0")
            new = re.search(r"new-selector (\S+)", self.state())[1]
            self.good("rollback", "-k", "mail")
            self.assertEqual(self.row()[1], "old")
            self.wait_for_selector("old")
            self.good("run", "--keep", "0", "--grace", "0")
            self.assertEqual(self.phase(), "done")
            self.assertTrue(self.look_up(new + "._domainkey." + DOMAIN).endswith(b"p="))
            self.assertEqual(self.private_keys(), 1)
            self.assertIn(b"p=MI", self.look_up("old._domainkey." + DOMAIN))
        self.assertEqual(self.rotate("rollback", "-k", "mail").returncode, 73)

    def test_what_stops_it(self):
        self.good("run")
        with open(self.path("KeyTable"), "a", encoding="ascii") as table:
            table.write("also sub.%s:x:%s\n" % (DOMAIN, self.uri))
        run = self.rotate("run", "-k", "mail", "--keep", "0")
        self.assertEqual(run.returncode, 78)
        self.assertIn("still signs", run.stderr)
        self.assertIn(b"p=MI", self.look_up("old._domainkey." + DOMAIN))
        self.assertEqual(self.rotate("run", "-k", "nosuch").returncode, 78)
        self.assertEqual(self.rotate("nosuch").returncode, 64)
        self.write("state", "garbage\n")
        run = self.rotate("status")
        self.assertEqual(run.returncode, 65)
        self.assertIn("line 1", run.stderr)


class Files(RotateCase):
    where = "file"

    def test_killed_at_random_and_resumed(self):
        self.stop_at_random(signal.SIGKILL)
        self.assertEqual(len([n for n in os.listdir(self.directory) if n.endswith(".private")]), 1)

    def test_key_files_rotate_too(self):
        with Load(self):
            self.good("run")
            self.wait_for_selector(self.row()[1])
        self.good("run", "--keep", "0", "--grace", "0")
        self.assertFalse(os.path.exists(self.uri))
        self.assertTrue(os.path.exists(self.row()[2]))
        self.sign_and_verify()

    def test_links_to_the_table_and_the_state_stay(self):
        os.mkdir(self.path("elsewhere"))
        for name in ("KeyTable", "state"):
            if os.path.exists(self.path(name)):
                os.rename(self.path(name), self.path("elsewhere", name))
            os.symlink(os.path.join("elsewhere", name), self.path(name))
        with open(self.path("elsewhere", "state"), "w", encoding="ascii"):
            pass
        self.good("run", "--publish", "/bin/true", "--steps", "1")
        self.assertEqual(self.phase(), "chosen")
        self.good("run")
        self.assertNotEqual(self.row()[1], "old")
        for name in ("KeyTable", "state"):
            self.assertTrue(os.path.islink(self.path(name)), name)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_table_that_cannot_be_replaced_is_refused_before_a_key_is_made(self):
        os.mkdir(self.path("elsewhere"))
        os.rename(self.path("KeyTable"), self.path("elsewhere", "KeyTable"))
        os.symlink("elsewhere/KeyTable", self.path("KeyTable"))
        os.lchown(self.path("KeyTable"), 65534, 65534)
        run = self.rotate("run")
        self.assertEqual(run.returncode, 73, run.stdout + run.stderr)
        self.assertIn("KeyTable: is a link of another user and is not followed; name the file that it leads to", run.stderr)
        self.assertEqual((self.phase(), [n for n in os.listdir(self.directory) if n.endswith(".private")]), (None, []))

    def test_a_key_behind_a_link_is_named(self):
        real = self.path("real.pem")
        os.rename(self.uri, real)
        os.symlink(real, self.uri)
        self.good("run")
        run = self.good("run", "--keep", "0", "--grace", "0")
        self.assertEqual((os.path.lexists(self.uri), os.path.exists(real)), (False, True))
        self.assertIn("warning: %s was a link and only that is removed; the old key is still in %s: remove it" % (self.uri, real), run.stderr)

    def test_output_that_nobody_takes(self):
        status, err = closed_output("hsmdkim-rotate", *self.options(), "status")
        self.assertEqual(status, 71, err)
        self.assertIn("standard output cannot be written: Broken pipe", err)

    def test_a_table_that_is_no_text_file_is_refused_before_a_key_is_made(self):
        table = self.path("table.lmdb")
        run = tool("hsmdkim-mktable", "-t", "keytable", self.path("KeyTable"), table)
        self.assertEqual(run.returncode, 0, run.stderr)
        with open(self.daemon_.conf, encoding="ascii") as conf:
            text = conf.read().replace("KeyTable " + self.path("KeyTable"), "KeyTable lmdb:" + table)
        run = tool("hsmdkim-rotate", *self.options(), "-x", self.write("lmdb.conf", text), "run")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("text file", run.stderr)
        self.assertEqual([n for n in os.listdir(self.directory) if n.endswith(".private")], [])

    def test_printing_waits_for_the_operator(self):
        run = self.good("run", "--publish", "print")
        self.assertEqual(self.phase(), "published")
        self.assertIn("waiting", run.stderr)
        value = re.search(r"value: (.*)", run.stdout)[1]
        name = re.search(r"name:  (.*)", run.stdout)[1]
        self.assertEqual(run.stdout.count("value: "), 1)
        self.assertRegex(run.stderr, r"not yet right at ns1.example.com \(127.0.0.1\S*\): there is no record")
        for command in ("run", "status", "plan"):
            self.assertIn("  waits until every name server has this record; unless it was published:\nPublish this TXT record (one line, "
                          "without quotes around it):\n  name:  %s\n  value: %s\n" % (name, value),
                          self.good(command, "--publish", "print").stdout)
        self.assertNotIn("value:", self.good("status", "--publish", "nsupdate").stdout)
        for wrong, finding in ((value[:150], "p= ends too early"), (value, "there are several TXT records at the name"), (None, None)):
            script = "server %s %d\n" % (self.server.address, self.server.port)
            script += "update add %s. 60 TXT %s\nsend\n" % (name, txt(wrong)) if wrong else \
                      "update delete %s. TXT\nupdate add %s. 60 TXT %s\nsend\n" % (name, name, txt(value))
            subprocess.run([find_program("nsupdate"), "-k", self.tsig], input=script, text=True, check=True)
            if wrong:
                self.assertIn("): " + finding, self.good("run", "--publish", "print").stderr)
        self.assertEqual(self.row()[1], "old")
        self.good("run", "--publish", "print")
        self.assertEqual(self.phase(), "keeping")


class OtherUser:
    """The daemon is not root, as everywhere but in the cases above: root's new key must be of use to it."""

    user = harness.USER

    def setUp(self):
        harness.need(self, os.geteuid() == 0, "root")
        super().setUp()

    def test_mail_is_signed_throughout(self):
        with Load(self) as load:
            self.good("run")
            self.assertEqual(self.phase(), "keeping")
            load.wait_for(self.row()[1])
        self.good("run", "--keep", "0", "--grace", "0")
        self.assertEqual(self.phase(), "done")
        self.sign_and_verify()

    def test_nothing_is_switched_to_a_key_that_the_daemon_cannot_use(self):
        self.good("run", "--steps", "2")
        self.take_away()
        run = self.rotate("run")
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(self.phase(), "visible")
        self.assertEqual(self.row()[1], "old")
        self.assertIn("as %s cannot use the new key" % harness.USER, run.stderr)
        self.assertIn("chown", run.stderr)
        self.give_back()
        self.good("run")
        self.wait_for_selector(self.row()[1])


class OtherUserFiles(OtherUser, RotateCase):
    where = "file"

    def new_key(self):
        return self.path([n for n in os.listdir(self.directory) if n.endswith(".private")][0])

    def take_away(self):
        self.assertEqual(pwd.getpwuid(os.stat(self.new_key()).st_uid).pw_name, harness.USER)
        shutil.chown(self.new_key(), "root")

    def give_back(self):
        shutil.chown(self.new_key(), harness.USER)


class OtherUserToken(OtherUser, RotateCase):
    def objects(self):
        return {os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(self.token.path, "tokens")) for name in names}

    def setUp(self):
        super().setUp()
        self.before = self.objects()

    def take_away(self):
        self.mine = self.objects() - self.before
        self.assertTrue(self.mine)
        for path in self.mine:
            self.assertEqual(pwd.getpwuid(os.stat(path).st_uid).pw_name, harness.USER, path)
            shutil.chown(path, "root")

    def give_back(self):
        for path in self.mine:
            shutil.chown(path, harness.USER)


class WaysToReload(RotateCase):
    where = "file"

    def without(self, *names, **more):
        """A configuration without these settings."""
        with open(self.daemon_.conf, encoding="ascii") as conf:
            lines = [line for line in conf if line.split()[0] not in names]
        return self.write("other.conf", "".join(lines) + "".join("%s %s\n" % item for item in more.items()))

    def options(self, *more):
        options = list(super().options(*more))
        if self.conf:
            at = options.index("--reload")
            del options[at:at + 2]
            options[options.index("-x") + 1] = self.conf
        return options

    conf = None

    def test_none(self):
        self.conf = self.without("PidFile")
        for command in ("plan", "run"):
            run = self.rotate(command)
            self.assertEqual(run.returncode, 78)
            self.assertIn("how to reload", run.stderr)
        self.assertFalse(os.path.exists(self.path("state")))
        self.assertEqual(self.row()[1], "old")

    def test_a_pid_file_of_nobody(self):
        self.conf = self.without("PidFile", PidFile=self.path("nobody.pid"))
        run = self.rotate("run")
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual((self.phase(), self.row()[1]), ("visible", "old"))

    def test_pid_file(self):
        self.conf = self.daemon_.conf
        self.good("run")
        self.wait_for_selector(self.row()[1])

    def test_control_socket(self):
        self.daemon_.stop()
        self.daemon_.configure(ControlSocket=self.path("control"), PidFile=None)
        self.daemon_.start()
        self.conf = self.daemon_.conf
        self.good("run")
        self.assertEqual(self.phase(), "keeping")
        self.assertEqual(self.sign_and_verify(), self.row()[1])

    def test_a_daemon_with_another_table(self):
        self.daemon_.stop()
        with open(self.path("KeyTable"), encoding="ascii") as table:
            text = table.read()
        self.write("KeyTable2", text)
        self.daemon_.configure(ControlSocket=self.path("control"), PidFile=None)
        self.daemon_.start()
        self.conf = self.without("KeyTable", KeyTable=self.path("KeyTable2"))
        run = self.rotate("run")
        self.assertEqual(run.returncode, 78)
        self.assertIn("another KeyTable", run.stderr)
        self.assertEqual(self.phase(), "switched")
        self.sign_and_verify()


class TwoServers(RotateCase):
    """The second server is a Knot of its own that gets nothing by itself."""

    where = "file"

    def start_server(self, record):
        zone = "@ NS ns1\n@ NS ns2\nns1 A 127.0.0.1\nns2 A 127.0.0.2\nold._domainkey TXT %s\n" % txt(record)
        port = free_port(("127.0.0.1", "127.0.0.2"))
        secret = re.search(r'secret "(.*)"', self.tsig_text)[1]
        self.second = Knot(self.path("knot"), {DOMAIN: zone}, port=port,
                           keys="key:\n  - id: up\n    algorithm: hmac-sha256\n    secret: %s" % secret,
                           acl="acl:\n  - id: update\n    key: up\n    action: update")
        self.addCleanup(self.second.stop)
        server = Bind(self.path("named"), {DOMAIN: zone}, port=port, extra=self.tsig_text,
                      zone_options={DOMAIN: "allow-update { key up; };"})
        self.addCleanup(server.stop)
        return server

    def test_nothing_is_switched_before_all_servers_have_the_record(self):
        run = self.good("run")
        self.assertEqual(self.phase(), "published")
        self.assertIn("ns2.example.com (127.0.0.2@%d)" % self.second.port, run.stderr)
        self.assertEqual(self.row()[1], "old")
        selector = re.search(r"new-selector (\S+)", self.state())[1]
        value = self.look_up("%s._domainkey.%s" % (selector, DOMAIN)).decode()
        script = "server 127.0.0.2 %d\nzone %s\nupdate add %s._domainkey.%s. 60 TXT %s\nsend\n" % (
            self.second.port, DOMAIN, selector, DOMAIN, txt(value))
        subprocess.run([find_program("nsupdate"), "-k", self.tsig], input=script, text=True, check=True)
        self.good("run")
        self.assertEqual(self.phase(), "keeping")
        self.wait_for_selector(selector)


if __name__ == "__main__":
    unittest.main()
