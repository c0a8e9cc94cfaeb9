"""Every option of every tool stands in its man page and in both completions; the completions work."""
import os
import re
import shutil
import subprocess
import unittest

from common import SRCDIR, tool

TOOLS = ("genkey", "testkey", "genzone", "testmsg", "rotate", "mktable", "ctl")


def read(*names):
    with open(os.path.join(SRCDIR, *names), encoding="utf-8") as text:
        return text.read()


def options(name):
    """(letters, long names) of the help's rows"""
    text = tool("hsmdkim-" + name, "--help").stdout.split("Examples:")[0]
    return (re.findall(r"^  -(\w)", text, re.M),
            [o for o in re.findall(r"^  (?:-\w, |    )--([\w-]+)", text, re.M) if o not in ("help", "version")])


class Documents(unittest.TestCase):
    def test_man_pages_have_every_option(self):
        for name in TOOLS:
            page = read("man", "hsmdkim-%s.8" % name)
            letters, names = options(name)
            self.assertGreater(len(letters) + len(names), 3)
            for option in letters:
                self.assertRegex(page, r"\n\.It Fl %s\b" % option, name)
            for option in names:
                self.assertRegex(page, r"\n\.It .*Fl -%s(\s|$)" % re.escape(option), name)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
                self.assertIn("\n.Sh %s\n" % section, page)

    def test_the_daemons_page_has_every_option(self):
        usage = tool("hsmdkim", "-?").stderr
        letters = re.findall(r"^  -(\w) ", usage, re.M)
        self.assertEqual("AbcdDefFhklLnopPQrsStTuUvVWxX", "".join(letters))
        page = read("man", "hsmdkim.8")
        for letter in letters:
            self.assertRegex(page, r"\n(\.It )?\.?Fl %s\b" % letter)

    def test_testkeys_page_has_every_finding(self):
        codes = re.findall(r'X\(KEY_\w+, "(\w+)", (EX_\w+)', read("tools", "keycheck.h"))
        exits = {"EX_OK": "0", "EX_DATAERR": "65", "EX_UNAVAILABLE": "69", "EX_OSERR": "71"}
        self.assertGreater(len(codes), 30)
        rows = re.findall(r"^\.It Li (\w+) Pq (\d+)$", read("man", "hsmdkim-testkey.8"), re.M)
        self.assertEqual(sorted(rows), sorted((code, exits[status]) for code, status in codes))

    def test_no_option_takes_a_pin(self):
        for name in TOOLS:
            text = tool("hsmdkim-" + name, "--help").stdout
            self.assertIn("Examples:", text)
            self.assertNotRegex(text, r"--\w*pin\w*[ =](?!SOURCE)|pin-value=", name)

    def test_man_pages_are_clean(self):
        for name in TOOLS:
            run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(SRCDIR, "man", "hsmdkim-%s.8" % name)],
                                 capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stdout), (0, ""))

    def test_completions_have_every_option(self):
        bash, zsh = read("packaging", "completion", "hsmdkim-tools.bash"), read("packaging", "completion", "_hsmdkim-tools")
        for name in TOOLS:
            words = re.search(r"_hsmdkim_%s\(\)\n\{\n\t_hsmdkim_tool '([^']*)'" % name, bash)[1].split()
            rows = zsh.split("hsmdkim-%s)\n" % name)[1].split("\t;;")[0]
            letters, names = options(name)
            for option in names:
                self.assertTrue("--" + option in words or "--" + option + "=" in words, option)
                self.assertRegex(rows, r"--%s[=\[}]" % option)
            for option in letters:
                self.assertIn("-" + option, words)
                self.assertRegex(rows, r"-%s[+\[,]" % option)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = ("_init_completion() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }\n_filedir() { :; }\n"
                  "compopt() { :; }\n. '%s'\nCOMP_WORDS=(%s)\nCOMP_CWORD=%d\n_%s\nprintf '%%s\\n' \"${COMPREPLY[@]}\"\n" % (
                      os.path.join(SRCDIR, "packaging/completion/hsmdkim-tools.bash"), " ".join("'%s'" % w for w in words), len(words) - 1,
                      words[0].replace("-", "_")))
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()

    def test_bash_completion(self):
        self.assertEqual(self.complete("hsmdkim-genkey", "--for"), ["--format="])
        self.assertEqual(self.complete("hsmdkim-genkey", "--format", "p"), ["plain", "powerdns"])
        self.assertEqual(self.complete("hsmdkim-testkey", "--au"), ["--authoritative"])
        self.assertEqual(self.complete("hsmdkim-rotate", "ro"), ["rollback"])
        self.assertEqual(self.complete("hsmdkim-ctl", "rel"), ["reload", "relogin"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_completion_parses(self):
        subprocess.run(["zsh", "-n", os.path.join(SRCDIR, "packaging/completion/_hsmdkim-tools")], check=True)


if __name__ == "__main__":
    unittest.main()
