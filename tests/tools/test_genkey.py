"""hsmdkim-genkey with key files, side by side with opendkim-genkey."""
import json
import os
import pty
import signal
import stat
import subprocess
import time
import unittest

from common import BIN, ToolCase, distribution, tool, zone_strings


def genkey(*args, **more):
    return tool("hsmdkim-genkey", *args, **more)


def public_key(path):
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return subprocess.run(["openssl", "base64", "-A"], input=der, check=True, capture_output=True).stdout.decode()


def without_key(record):
    """The file of opendkim-genkey with each base64 text replaced by its length."""
    key = "".join(zone_strings(record)).split("p=")[1]
    lines = record.split("\n")
    return [line if "p=" not in line and not line.startswith("\t  ") else "len %d" % len(line) for line in lines], \
        len(key)


class AgainstOpendkim(ToolCase):
    def both(self, *args, selector="default"):
        os.mkdir(self.path("theirs"))
        os.mkdir(self.path("ours"))
        theirs = distribution("opendkim-genkey", "-D", self.path("theirs"), *args)
        ours = genkey("-D", self.path("ours"), *args)
        self.assertEqual(theirs.returncode, ours.returncode, ours.stderr)
        their_txt = self.read("theirs", selector + ".txt")
        our_txt = self.read("ours", selector + ".txt")
        self.assertEqual(without_key(their_txt), without_key(our_txt))
        self.assertEqual(sorted(os.listdir(self.path("theirs"))), sorted(os.listdir(self.path("ours"))))
        for name in os.listdir(self.path("ours")):
            self.assertEqual(stat.S_IMODE(os.stat(self.path("ours", name)).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(self.path("theirs", name)).st_mode), 0o600)
        value = "".join(zone_strings(our_txt))
        self.assertEqual(value.split("p=")[1], public_key(self.path("ours", selector + ".private")))
        return value

    def test_defaults(self):
        self.assertTrue(self.both().startswith("v=DKIM1; h=sha256; k=rsa; p=MII"))

    def test_short_options(self):
        value = self.both("-s", "sel1", "-d", "example.com", "-b", "1024", "-t", "-r", "-S", "-a", "-v", "-h",
                          "sha256:sha1", "-n", "a note", selector="sel1")
        self.assertIn('v=DKIM1; n="a note"; h=sha256:sha1; k=rsa; t=y:s; s=email; p=', value)

    def test_long_options(self):
        self.both("--selector=a.b", "--domain=sub.example.com", "--bits=4096", "--testmode", "--restrict",
                  "--append-domain", "--hash-algorithms=sha256", "--note=x", selector="a.b")

    def test_negated_options(self):
        self.assertIn("; t=s; ", self.both("--testmode", "--notestmode", "--nosubdomains", "--norestrict"))

    def test_bundled_options(self):
        self.assertIn("; t=y:s; s=email; ", self.both("-rtSs", "bundle", selector="bundle"))

    def test_both_fail_for_a_missing_folder_and_an_unknown_option(self):
        for args in (["-D", self.path("nosuch")], ["--nosuch"]):
            self.assertNotEqual(distribution("opendkim-genkey", *args).returncode, 0)
            self.assertNotEqual(genkey(*args).returncode, 0)

    def test_opendkim_reads_the_record_and_the_key(self):
        self.assertEqual(genkey("-s", "s", "-d", "example.com", "-D", self.dir).returncode, 0)
        table = self.write("KeyTable", "k example.com:s:%s\n" % self.path("s.private"))
        zone = distribution("opendkim-genzone", "-x", "/dev/null", "file:" + table)
        self.assertEqual(zone.returncode, 0)
        self.assertEqual("".join(zone_strings(zone.stdout)).split("p=")[1],
                         "".join(zone_strings(self.read("s.txt"))).split("p=")[1])


class Refusals(ToolCase):
    def refused(self, status, text, *args):
        run = genkey("-D", self.dir, *args)
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn(text, run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertEqual(os.listdir(self.dir), [])

    def test_small_keys(self):
        self.refused(64, "RFC 8301", "-b", "1023")
        self.refused(64, "RFC 8301", "-b", "4097")

    def test_selectors_that_are_no_labels(self):
        for bad in ("", ".", "..", "a..b", "../x", "a/b", "a b", "$(id)", "a;b", "-a", "a-", "x" * 64, "é"):
            self.refused(64, "selector", "-s", bad)

    def test_domains_that_are_no_labels(self):
        for bad in ("", "a..b", "a/b", "example.com.", "x" * 64 + ".com", ".".join(["x" * 60] * 5)):
            self.refused(64, "domain is DNS labels", "-d", bad)
        self.refused(64, "too long", "-d", ".".join(["x" * 60] * 4), "-s", "y" * 10)

    def test_hashes_without_sha256(self):
        self.refused(64, "sha256", "-h", "sha1")
        self.refused(64, "write -h sha256", "-r", "-h", "rsa-sha256")  # as old tutorials say

    def test_names_that_are_hardly_meant(self):
        run = genkey("-D", self.dir, "-s", "mail._domainkey", "-d", "example.com")
        self.assertEqual(run.returncode, 0)
        self.assertIn("warning: ._domainkey is added", run.stderr)
        run = genkey("-D", self.dir)
        self.assertEqual(run.returncode, 0)
        self.assertIn("warning: there is no -d", run.stderr)
        self.assertNotIn("warning", genkey("-D", self.dir, "-s", "plain", "-d", "example.com").stderr)

    def test_token_options_without_token(self):
        self.refused(64, "--token", "--module", "/x", "--pin-source", "file:/x")
        self.refused(64, "--token", "--import", "/x")

    def test_zone_that_is_no_parent(self):
        self.refused(64, "--zone", "-d", "example.com", "--zone", "ample.com")

    def test_operands(self):
        self.refused(64, "unexpected", "example.com")


class NeverOverwrites(ToolCase):
    def test_key_or_record_that_is_there(self):
        for name in ("s.private", "s.txt"):
            path = self.write(name, "precious")
            run = genkey("-D", self.dir, "-s", "s")
            self.assertEqual(run.returncode, 73, run.stderr)
            self.assertEqual(self.read(name), "precious")
            self.assertEqual(os.listdir(self.dir), [name])
            os.unlink(path)

    def test_links_are_not_followed(self):
        os.symlink(self.path("elsewhere"), self.path("s.private"))
        self.assertEqual(genkey("-D", self.dir, "-s", "s").returncode, 73)
        self.assertFalse(os.path.exists(self.path("elsewhere")))


class Output(ToolCase):
    def test_table_lines_and_host_names(self):
        run = genkey("-D", self.dir, "-s", "s", "-d", "news.example.com", "--zone", "example.com")
        self.assertIn("s._domainkey.news.example.com news.example.com:s:%s/s.private\n" % os.path.realpath(self.dir),
                      run.stdout)
        self.assertIn("*@news.example.com s._domainkey.news.example.com\n", run.stdout)
        self.assertIn(" s._domainkey.news\n", run.stdout)
        self.assertIn(" s._domainkey.news.example.com.\n", run.stdout)
        self.assertIn("panel", run.stdout)
        self.assertTrue(self.read("s.txt").startswith("s._domainkey.news\tIN\tTXT"))

    def test_plain_is_one_unquoted_line(self):
        genkey("-D", self.dir, "-s", "s", "-d", "example.com", "-b", "4096", "--format", "plain")
        text = self.read("s.txt")
        self.assertEqual(text, "v=DKIM1; h=sha256; k=rsa; p=%s\n" % public_key(self.path("s.private")))

    def test_json_forms_parse(self):
        for form in ("json", "powerdns", "route53"):
            genkey("-D", self.dir, "-s", form, "-d", "example.com", "--format", form, "-n", 'q"\\')
            data = json.loads(self.read(form + ".txt"))
            key = public_key(self.path(form + ".private"))
            if form == "json":
                self.assertTrue(data["value"].endswith("p=" + key))
                self.assertEqual("".join(data["strings"]), data["value"])
                self.assertTrue(all(len(s) <= 255 for s in data["strings"]))
                continue
            content = (data["rrsets"][0]["records"][0]["content"] if form == "powerdns" else
                       data["Changes"][0]["ResourceRecordSet"]["ResourceRecords"][0]["Value"])
            self.assertTrue("".join(zone_strings(content)).endswith("p=" + key))
            self.assertTrue(all(len(s) <= 255 for s in zone_strings(content)))

    def test_ed25519_record_has_the_32_bytes(self):
        run = genkey("-D", self.dir, "-s", "e", "-d", "example.com", "--type", "ed25519", "--format", "plain")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("RSA key", run.stderr)
        value = self.read("e.txt").strip()
        self.assertIn("k=ed25519; p=", value)
        der = subprocess.run(["openssl", "pkey", "-in", self.path("e.private"), "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        raw = subprocess.run(["openssl", "base64", "-A"], input=der[-32:], capture_output=True,
                             check=True).stdout.decode()
        self.assertEqual(value.split("p=")[1], raw)

    def test_help_has_examples(self):
        run = genkey("--help")
        self.assertEqual(run.returncode, 0)
        self.assertIn("Examples:", run.stdout)
        for option in ("-b", "-d", "-D", "-s", "-t", "-r", "-h", "-S", "-a", "-n", "-v", "--token", "--import"):
            self.assertIn(option, run.stdout)


class International(ToolCase):
    """RFC 8616: names in tables and DNS are A-labels, mail may be spelled either way."""

    def test_a_domain_in_u_labels(self):
        run = genkey("-D", self.dir, "-s", "s", "-d", "news.Bücher.example", "--zone", "bücher.example")
        self.assertEqual(run.returncode, 0, run.stderr)
        ascii_name = "news.xn--bcher-kva.example"
        self.assertIn("s._domainkey.%s %s:s:%s/s.private\n" % (ascii_name, ascii_name, os.path.realpath(self.dir)), run.stdout)
        self.assertIn("*@%s s._domainkey.%s\n" % (ascii_name, ascii_name), run.stdout)
        self.assertIn("*@news.Bücher.example s._domainkey.%s\n" % ascii_name, run.stdout)
        self.assertIn(" s._domainkey.%s.\n" % ascii_name, run.stdout)
        self.assertTrue(self.read("s.txt").startswith("s._domainkey.news\tIN\tTXT"))

    def test_every_form_has_a_labels(self):
        for form in ("bind", "json", "nsupdate", "tinydns", "powerdns", "route53"):
            run = genkey("-D", self.dir, "-s", form, "-d", "bücher.example", "-a", "--format", form)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(form + "._domainkey.xn--bcher-kva.example", self.read(form + ".txt"))

    def test_lists_have_them_too(self):
        names = self.write("domains", "bücher.example\n")
        run = genkey("--domains", names, "-D", self.path("out"), "--type", "ed25519")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(os.listdir(self.path("out")), ["xn--bcher-kva.example"])

    def test_names_that_are_none(self):
        for bad in ("bü..example", "bücher.example.", "\u200d.example", "ü" * 60 + ".example", "bü cher.example"):
            run = genkey("-D", self.dir, "-s", "s", "-d", bad)
            self.assertEqual(run.returncode, 64, bad)
            self.assertEqual(os.listdir(self.dir), [])


class Lists(ToolCase):
    def test_stopped_list_goes_on_with_the_same_keys(self):
        count = 12
        names = self.write("domains", "# ours\n" + "".join("d%d.example\n" % i for i in range(count)) + "\n x.example other \n")
        command = [os.path.join(BIN, "hsmdkim-genkey"), "--domains", names, "-s", "s", "-D", self.path("out"), "-b",
                   "3072"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            while not os.path.exists(self.path("out", "d3.example", "s.private")):
                time.sleep(0.01)
                self.assertIsNone(first.poll(), "the list was done before it could be stopped")
            first.send_signal(signal.SIGKILL)
        kept = {d: self.read("out", d, "s.private") for d in ("d0.example", "d3.example")}
        run = genkey(*command[1:])
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("13 of 13 keys are there", run.stderr)
        self.assertNotIn("\r", run.stderr)
        for domain, text in kept.items():
            self.assertEqual(self.read("out", domain, "s.private"), text)
        self.assertEqual(run.stdout.count("._domainkey."), 2 * 13)
        self.assertIn("*@x.example other._domainkey.x.example\n", run.stdout)
        for i in range(count):
            value = "".join(zone_strings(self.read("out", "d%d.example" % i, "s.txt")))
            self.assertEqual(value.split("p=")[1], public_key(self.path("out", "d%d.example" % i, "s.private")))

    def test_a_terminal_shows_a_progress_bar(self):
        names = self.write("domains", "a.example\nb.example\n")
        master, slave = pty.openpty()
        with subprocess.Popen([os.path.join(BIN, "hsmdkim-genkey"), "--domains", names, "-D", self.path("out"), "--type", "ed25519"],
                              stdout=subprocess.DEVNULL, stderr=slave) as process:
            os.close(slave)
            seen = b""
            try:
                while chunk := os.read(master, 4096):
                    seen += chunk
            except OSError:
                pass  # the other end is closed
            process.wait(30)
        os.close(master)
        self.assertIn(b"[###############...............] 1/2 a.example", seen)
        self.assertIn(b"[##############################] 2/2 b.example", seen)

    def test_bad_line_is_named(self):
        names = self.write("domains", "good.example\nbad/../../etc\n")
        run = genkey("--domains", names, "-D", self.path("out"))
        self.assertEqual(run.returncode, 65)
        self.assertIn("domains:2: ", run.stderr)


if __name__ == "__main__":
    unittest.main()
