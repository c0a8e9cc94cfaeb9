"""`cmake --install` into a folder of its own, and the Debian package; the programs run from there, and the daemon finds its signer there."""
import os
import re
import shutil
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
from common import BIN  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(BIN))
TOOLS = ("genkey", "testkey", "genzone", "testmsg", "rotate", "mktable")
CMAKE = shutil.which("cmake")


@unittest.skipUnless(CMAKE and os.path.exists(os.path.join(BUILD, "cmake_install.cmake")), "not a build folder of CMake's")
class Install(harness.Case):
    def setUp(self):
        super().setUp()
        self.root = self.path("root")
        os.mkdir(self.root)
        os.chmod(self.root, 0o755)
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", "/opt/hsmdkim"], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": self.root})
        self.prefix = os.path.join(self.root, "opt/hsmdkim")

    def installed(self, *names):
        path = os.path.join(self.prefix, *names)
        self.assertTrue(os.path.isfile(path), path)
        return path

    def sbin(self, name):
        return self.installed("sbin", name)

    def text(self, *names):
        with open(self.installed(*names), encoding="utf-8") as file:
            return file.read()

    def test_files_and_modes(self):
        for name in ("hsmdkim", "hsmdkim-signer", "hsmdkim-metrics", "hsmdkim-reports", *("hsmdkim-" + t for t in TOOLS)):
            self.assertEqual(stat.S_IMODE(os.stat(self.sbin(name)).st_mode), 0o755)
        for page in ("hsmdkim.8", *("hsmdkim-%s.8" % t for t in TOOLS)):
            self.assertEqual(stat.S_IMODE(os.stat(self.installed("share/man/man8", page)).st_mode), 0o644)
        self.assertIn("PKCS11PinSource", self.text("share/man/man5/hsmdkim.conf.5"))
        for name in TOOLS:
            self.assertIn("complete -F _hsmdkim_" + name, self.text("share/bash-completion/completions", "hsmdkim-" + name))
        self.assertIn("#compdef hsmdkim-genkey", self.text("share/zsh/site-functions/_hsmdkim-tools"))
        self.assertIn("ExecStart=/opt/hsmdkim/sbin/hsmdkim -f", self.text("lib/systemd/system/hsmdkim.service"))
        unit = self.text("lib/systemd/system/hsmdkim-rotate.service")
        self.assertIn("ExecStart=/opt/hsmdkim/sbin/hsmdkim-rotate -x /etc/hsmdkim.conf", unit)
        self.assertIn("[Timer]", self.text("lib/systemd/system/hsmdkim-rotate.timer"))
        self.assertIn("u hsmdkim-signer", self.text("lib/sysusers.d/hsmdkim.conf"))
        self.assertIn("hsmdkim-genkey", self.text("share/doc/hsmdkim/TUTORIAL.md"))

    def test_every_program_answers_from_there(self):
        for name in ("hsmdkim", *("hsmdkim-" + t for t in TOOLS)):
            run = subprocess.run([self.sbin(name), "-V" if name == "hsmdkim" else "--version"], capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stderr), (0, ""), name)
            self.assertRegex(run.stdout, r"^%s v?\d+\.\d+" % name)
        for name in TOOLS:
            run = subprocess.run([self.sbin("hsmdkim-" + name), "--help"], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0)
            self.assertIn("Examples:", run.stdout)

    def test_the_example_configuration_is_right(self):
        """With key files in the place of the token, which is not there; every other line as it is."""
        harness.make_key_file(self.path("key.pem"), owner="root")
        folder = "share/doc/hsmdkim/examples"
        conf = self.text(folder, "hsmdkim.conf").replace("/etc/hsmdkim/", self.directory + "/")
        conf = re.sub(r"(?m)^(PKCS11|UserID|SignerUserID).*\n", "", conf)
        self.write("SigningTable", self.text(folder, "SigningTable"))
        self.write("KeyTable", re.sub(r"pkcs11:.*", self.path("key.pem"), self.text(folder, "KeyTable")))
        run = subprocess.run([self.sbin("hsmdkim"), "-n", "-x", self.write("conf", conf)], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_mail_is_signed_by_the_installed_signer(self):
        daemon = self.file_key_daemon(start=False)
        daemon.program = self.sbin("hsmdkim")
        daemon.start()
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.assertEqual(os.path.realpath("/proc/%d/exe" % daemon.signer_pid()), os.path.realpath(self.sbin("hsmdkim-signer")))

    def test_two_installs_in_a_row(self):
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", "/opt/hsmdkim"], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": self.root})
        self.test_every_program_answers_from_there()


class Package(harness.Case):
    """What dpkg would get. It is not installed here: it would take the programs' real places on this host."""

    def setUp(self):
        super().setUp()
        harness.need(self, all(map(shutil.which, ("cpack", "dpkg-deb", "dpkg-shlibdeps"))), "cpack and dpkg-dev")

    def test_debian_package(self):
        subprocess.run(["cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", self.directory], check=True, capture_output=True)
        package = [name for name in os.listdir(self.directory) if name.endswith(".deb")]
        self.assertEqual(len(package), 1)
        package = self.path(package[0])
        root, control = self.path("root"), self.path("control")
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        subprocess.run(["dpkg-deb", "-e", package, control], check=True)
        fields = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True).stdout
        for library in ("libmilter", "libp11-", "libssl", "libunbound", "libseccomp"):
            self.assertIn(library, fields)
        for script in ("postinst", "prerm", "postrm"):
            path = os.path.join(control, script)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o755)
            subprocess.run(["sh", "-n", path], check=True)
        with open(os.path.join(root, "usr/lib/systemd/system/hsmdkim.service"), encoding="utf-8") as unit:
            self.assertIn("ExecStart=/usr/sbin/hsmdkim -f", unit.read())
        run = subprocess.run([os.path.join(root, "usr/sbin/hsmdkim"), "-V"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(os.path.exists(os.path.join(root, "usr/share/doc/hsmdkim/hsm/README.md")))


if __name__ == "__main__":
    unittest.main()
