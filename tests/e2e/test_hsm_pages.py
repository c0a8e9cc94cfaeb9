#!/usr/bin/python3
"""docs/hsm/, executed: every ```sh block of the pages that say they were run, then a daemon with the page's ```conf block
and the lines that hsmdkim-genkey printed. Paths below /etc and /var lead into a temporary directory; packages, services
and users are bent, and the TPM is swtpm."""
import os
import re
import subprocess

import harness
import tokens

PAGES = os.path.join(harness.ROOT, "docs/hsm")
PATHS = ("/etc/hsmdkim", "/var/lib/hsmdkim-token", "/var/lib/hsmdkim-tpm")
NOTHING = ("apt-get", "usermod")  # programs that do nothing here


class Pages(harness.Case):
    def setUp(self):
        super().setUp()
        harness.need(self, harness.FILTER == "hsmdkim", "hsmdkim")
        harness.need(self, os.geteuid() == 0, "root")
        for path in ("bin", "root/etc", "root/var/lib"):
            os.makedirs(self.path(path))
        os.chmod(self.path("root"), 0o755)
        for name in NOTHING:
            self.shim(name, "exit 0")

    def shim(self, name, text):
        self.write("bin/" + name, "#!/bin/sh\n" + text + "\n", mode=0o755)

    def run_page(self, name, kind, **other):
        """@return (settings of the page, what the commands printed, their environment)"""
        harness.need(self, kind.missing() is None, kind.missing())
        with open(os.path.join(PAGES, name), encoding="utf-8") as file:
            page = file.read()
        for old, new in {**{path: self.path("root") + path for path in PATHS}, "hsmdkim:": harness.USER + ":", **other}.items():
            page = page.replace(old, new)
        script = "set -eu\n" + "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)) + "env -0 >" + self.path("env")
        environment = {**os.environ, **tokens.NO_LEAK_CHECK, "PATH": os.pathsep.join((self.path("bin"), harness.BIN, os.environ["PATH"], "/usr/sbin", "/sbin"))}
        with open(self.path("out"), "w+", encoding="utf-8") as out:  # no pipe: a server that stays would hold it open
            result = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                                    timeout=180, check=False)
            out.seek(0)
            printed = out.read()
        self.assertEqual(0, result.returncode, printed)
        with open(self.path("env"), encoding="utf-8") as file:
            environment = dict(pair.split("=", 1) for pair in file.read().split("\0") if pair)
        settings = dict(line.split(None, 1) for line in re.search(r"^```conf\n(.*?)^```$", page, re.M | re.S)[1].splitlines())
        return settings, printed, environment

    def sign(self, settings, printed, environment, noise=()):
        rows = re.findall(r"^(\S+) example\.com:(\S+):(pkcs11:\S+)$", printed, re.M)
        self.write("KeyTable", "".join(f"{name} example.com:{selector}:{uri}\n" for name, selector, uri in rows))
        self.write("SigningTable", "".join(f"*@example.com {name}\n" for name, _, _ in rows))
        self.zone = {}
        for _, selector, _ in rows:
            with open(self.path("root/etc/hsmdkim", selector + ".txt"), encoding="ascii") as file:
                self.zone[f"{selector}._domainkey.example.com"] = "".join(re.findall(r'"([^"]*)"', file.read()))
        daemon = self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                              "MultipleSignatures": "yes", **settings}, environment, allowed=noise)
        self.assert_signed(daemon.send(harness.MESSAGE), tuple(selector for _, selector, _ in rows))

    def test_softhsm2(self):
        self.sign(*self.run_page("softhsm2.md", tokens.SoftHsm))

    def test_p11_kit(self):
        settings, printed, environment = self.run_page("p11-kit.md", tokens.Remote)
        self.addCleanup(harness.run, ["kill", environment["P11_KIT_SERVER_PID"]])
        socket = environment["P11_KIT_SERVER_ADDRESS"].partition("path=")[2]
        os.chmod(os.path.dirname(socket), 0o711)
        os.chmod(socket, 0o666)
        self.sign(settings, printed, environment)

    def test_tpm2(self):
        token = tokens.Tpm(self.path("token"))
        self.addCleanup(token.stop)
        token.start()
        token.stop()
        token.power_on()  # its three slots are empty
        tcti = token.environment()["TPM2_PKCS11_TCTI"]
        settings, printed, environment = self.run_page("tpm2.md", tokens.Tpm, **{"device:/dev/tpmrm0": tcti})
        token.stop()
        token.power_on()
        self.sign(settings, printed, environment, tokens.Tpm.noise)

    def test_opencryptoki(self):
        token = tokens.OpenCryptoki(self.path("token"))
        self.addCleanup(token.stop)
        token.prepare()
        self.shim("systemctl", '[ "$*" = "start pkcsslotd" ]')
        token.serve()
        settings, printed, environment = self.run_page("opencryptoki.md", tokens.OpenCryptoki)
        self.sign({**settings, "SignerUserID": token.user}, printed, environment)


if __name__ == "__main__":
    harness.main()
