#!/usr/bin/python3
"""hsmdkim -n over an opendkim.conf: right or wrong with file and line, and the report of what is left to do."""
import os
import pwd
import subprocess

import harness


class Check(harness.Case):
    def check(self, conf, *options):
        return subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-n", "-x", self.write("opendkim.conf", conf), *options],
                              capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    def start(self, conf):
        """A start that is refused."""
        return subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-f", "-x", self.write("opendkim.conf", conf), "-p",
                               f"local:{self.path('socket')}"], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)

    def tables(self, keys, signers="example.com k1\n"):
        return f"Mode s\nKeyTable {self.write('KeyTable', keys)}\nSigningTable {self.write('SigningTable', signers)}\n"

    def own_key(self, name):
        harness.make_key_file(self.path(name))
        os.chown(self.path(name), os.geteuid(), os.getegid())
        return self.path(name)

    def test_report(self):
        harness.make_key_file(self.path("one.pem"))
        os.chmod(self.path("one.pem"), 0o644)
        conf = self.tables(f"k1 example.com:s1:{self.path('one.pem')}\nk2 %:s2:/keys/%.pem\nk3 example.org:s3:pkcs11:token=T;object=k\n")
        run = self.check(conf + "Statistics /x\nMultipleSignatures yes\nPKCS11Module /m.so\n")
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("Statistics", run.stderr)
        for text in ("works: PKCS11Module Mode KeyTable SigningTable MultipleSignatures\n", "KeyTable: 3 keys\n", "see the 4 warnings\n",
                     "MultipleSignatures: all rows", f"--token 'pkcs11:token=LABEL' -d 'example.com' -s 's1' --import '{self.path('one.pem')}'\n",
                     "-d 'DOMAIN' -s 's2' --import '/keys/%.pem'\n", "keys: 1 on tokens, 2 in files, 0 in the table itself\n",
                     f"chmod 0600 {self.path('one.pem')}"):
            self.assertIn(text, run.stdout)
        self.assertEqual(1, run.stdout.count("permissions:"))

    def test_the_token_of_the_table_is_named(self):
        conf = self.tables("k1 example.com:s1:/k.pem\n") + "TokenTable " + self.write("tokens", "hsm pkcs11:token=Mail?module-path=/m.so\n")
        self.assertIn("--token 'pkcs11:token=Mail'", self.check(conf).stdout)

    def test_many_keys_are_counted(self):
        rows = "".join(f"k{i} example.com:s{i}:/k{i}.pem\n" for i in range(1, 1000))
        run = self.check(self.tables(rows))
        self.assertEqual(0, run.returncode)
        self.assertIn("... and 959 more\n", run.stdout)
        self.assertEqual(40, run.stdout.count("--import"))

    def test_a_hostile_name_is_no_command(self):
        rows = "k1 example.com:s1:/tmp/a';reboot;'.pem\n"
        self.assertIn("--import '/tmp/a'\\'';reboot;'\\''.pem'\n", self.check(self.tables(rows)).stdout)

    def test_faults(self):
        """Exit 78, and where: what a start would find, and what only the signer process knows."""
        one = "k1 example.com:s1:/k.pem\n"
        for name, conf, text in (
                ("unknown key", None, "SigningTable:1: 'example.com' -> 'nosuch'"),
                ("URI", None, "KeyTable:1: key 'k1': the URI names no key"),
                ("token", "TokenTable " + self.write("tokens", "a pkcs11:bogus=1?module-path=/m.so\n"), 'unknown attribute "bogus"'),
                ("host bits", "InternalHosts 192.0.2.1/24\n", "write 192.0.2.0/24"),
                ("socket", "Socket nonsense:x\n", "ocket")):
            with self.subTest(name=name):
                if name == "URI":
                    conf = self.tables("k1 example.com:s1:pkcs11:token=x\n")
                elif name == "unknown key":
                    conf = self.tables(one, "example.com nosuch\n")
                run = self.check(conf)
                self.assertEqual(78, run.returncode, run.stdout)
                self.assertIn(text, run.stderr)

    def test_an_error_of_a_value_says_where_it_stands(self):
        """FILE:LINE of the setting, also when another process or a later check finds the error; entries of lists are no lines."""
        for lines, text in (
                ("KeyTable /nonexistent/kt\n", "KeyTable requires SigningTable"),
                ("UserID nosuchuser\n", 'UserID: no user "nosuchuser"'),
                ("Socket nonsense:x\n", "Socket nonsense:x: unknown form"),
                ("InternalHosts a.example,192.0.2.1/24\n", "entry 2 of InternalHosts: "),
                ("KeyTable csl:a=b.example:s:nosuch\nSigningTable csl:b.example=a\n", "entry 1 of KeyTable: key 'a': "),
                ("KeyTable /nonexistent/kt\nSigningTable csl:a=b\n", "KeyTable: /nonexistent/kt: cannot read"),
                ("BaseDirectory /nonexistent/dir\n", "BaseDirectory /nonexistent/dir: No such file")):
            with self.subTest(lines=lines):
                run = self.check("Mode sv\n\n" + lines)
                self.assertEqual(78, run.returncode, run.stdout)
                self.assertIn(f"hsmdkim: {self.path('opendkim.conf')}:3: {text}", run.stderr)

    def test_rows_that_can_match_no_mail(self):
        """They are no error, but mail would leave unsigned in silence: named with file and line, and how to mend them."""
        self.own_key("k.pem")
        keys = self.write("KeyTable", f"k1 example.com:s1:{self.path('k.pem')}\n")
        for prefix, row, mend in (("", "*@example.com k1", "write refile: before the table's path"), ("", "@example.com k1", "without '@'"),
                                  ("refile:", "example.com k1", "write *@example.com"), ("refile:", "@example.com k1", "write *@ for @"),
                                  ("refile:", "*@a.example,*@b.example k1", "one pattern a line")):
            with self.subTest(prefix=prefix, row=row):
                signers = self.write("SigningTable", f"# rows\n{row}\n")
                run = self.check(f"Mode s\nKeyTable {keys}\nSigningTable {prefix}{signers}\n")
                self.assertEqual(0, run.returncode, run.stderr)
                self.assertIn(f"warning: {signers}:2: '{row.split()[0]}' can match no sender", run.stderr)
                self.assertIn(mend, run.stderr)
        for domain, text in (("= example.com", "Domain holds no domain"), ("example.com example.org", "separate domains with ','"),
                             ("@example.com", "write it without '@'"), ("*.example.com", "SubDomains yes")):
            with self.subTest(domain=domain):
                run = self.check(f"Mode s\nDomain {domain}\nSelector s1\nKeyFile {self.path('k.pem')}\n")
                self.assertIn(text, run.stderr)
        for text in ("", "# nothing\n\n"):
            empty = self.write("SigningTable", text)
            for prefix in ("", "refile:"):
                run = self.check(f"Mode s\nKeyTable {keys}\nSigningTable {prefix}{empty}\n")
                self.assertIn("warning: SigningTable holds no row, so nothing will be signed", run.stderr)
        self.assertNotIn("holds no row", self.check(f"Mode v\nKeyTable {keys}\nSigningTable {empty}\n").stderr)
        many = self.write("SigningTable", "".join(f"*@d{i}.example k1\n" for i in range(100)))
        run = self.check(f"Mode s\nKeyTable {keys}\nSigningTable {many}\n")
        self.assertIn("SigningTable: 80 more rows can match no sender\n", run.stderr)
        good = self.write("SigningTable", "example.com k1\n.example.com k1\na@.example.com k1\na@b.example k1\npostmaster@* k1\n* k1\n")
        self.assertNotIn("can match no", self.check(f"Mode s\nKeyTable {keys}\nSigningTable {good}\n").stderr)

    def test_a_key_on_a_token_needs_a_token(self):
        conf = self.tables("# no PKCS11Module\nk1 example.com:s1:pkcs11:token=T;object=k\n")
        run = self.check(conf)
        self.assertEqual(78, run.returncode, run.stdout)
        self.assertIn(f"{self.path('KeyTable')}:2: key 'k1' is on a token, and there is none: set PKCS11Module", run.stderr)
        run = self.check(conf + "PKCS11Module /m.so\n")
        self.assertEqual(0, run.returncode, run.stderr)
        place = f"warning: {self.path('opendkim.conf')}:4: PKCS11Module: "
        self.assertIn(place + "PKCS11PinSource is not set", run.stderr)
        self.assertIn(place + "/m.so: there is no such file: install", run.stderr)

    def test_a_token_without_module_or_pin(self):
        """Named with the row of the TokenTable; an empty PIN file is an error, as at a start."""
        self.own_key("k.pem")
        self.write("pin", "1234\n")
        rows = f"a pkcs11:?module-path={self.path('k.pem')}&pin-source=file:{self.path('pin')}\nb pkcs11:?module-path=/nonexistent/m.so\n"
        conf = f"Mode s\nRequireSafeKeys no\nTokenTable {self.write('tokens', rows)}\nSigningTable csl:example.com=k\n" \
               f"KeyTable csl:k=example.com:s1:{self.path('k.pem')}\n"
        run = self.check(conf)
        self.assertEqual(0, run.returncode, run.stderr)
        for text in (f"1: token 'a': {self.path('k.pem')} is no shared object: name the .so file", "2: token 'b': /nonexistent/m.so: there is no such file",
                     "2: token 'b': pin-source= is not set: there will be no login"):
            self.assertIn(f"warning: {self.path('tokens')}:{text}", run.stderr)
        self.write("pin", "")
        for run in (self.check(conf), self.start(conf)):
            self.assertEqual(78, run.returncode, run.stdout)
            self.assertIn(f"{self.path('tokens')}:1: token 'a': PIN from {self.path('pin')}: the PIN is empty: one line with it", run.stderr)
        conf = f"Mode s\nRequireSafeKeys no\nPKCS11Module /m.so\nPKCS11PinSource file:{self.path('pin')}\n"
        for run in (self.check(conf), self.start(conf)):
            self.assertEqual(78, run.returncode, run.stdout)
            self.assertIn(f"{self.path('opendkim.conf')}:4: PKCS11PinSource: PIN from {self.path('pin')}: the PIN is empty", run.stderr)

    def test_reports_that_no_unit_lets_out(self):
        """EPEL's file says SendReports yes; Postfix's sendmail needs a right that our unit denies."""
        said = f"warning: {self.path('opendkim.conf')}:2: SendReports: /usr/sbin/sendmail of Postfix can send no report"
        for lines, expected in (("Mode v\nSendReports yes\n", True), ("Mode s\nSendReports yes\n", False), ("Mode v\nSendReports no\n", False),
                                ("Mode v\nSendReports yes\nSMTPURI smtp://127.0.0.1\n", False),
                                ("Mode v\nSendReports yes\nMTACommand /usr/bin/msmtp\n", False)):
            with self.subTest(lines=lines):
                run = self.check(lines)
                self.assertEqual(0, run.returncode, run.stderr)
                self.assertEqual(expected, said in run.stderr, run.stderr)

    def test_a_pin_that_is_none(self):
        """Before it costs one of the few attempts: named with its source, never shown."""
        pin = self.write("pin", "")
        conf = (self.tables("k1 example.com:s1:pkcs11:token=T;object=k\n") + f"PKCS11Module /m.so\nPKCS11PinSource file:{pin}\n"
                "RequireSafeKeys no\n")
        for text, says in (("\ufeff471147\n", "begins with a byte order mark"), ("471147\n471147\n", "has more than one line"), ("", "is empty")):
            with self.subTest(text=text):
                self.write("pin", text)
                run = self.check(conf)
                self.assertEqual(78, run.returncode, run.stdout)
                self.assertIn(f"{self.path('opendkim.conf')}:5: PKCS11PinSource: PIN from {pin}: the PIN {says}", run.stderr)
                self.assertNotIn("471147", run.stderr)
        for text, blank in (("471147 \n", True), ("\t471147", True), ("471147\r\n", False)):
            self.write("pin", text)
            run = self.check(conf)
            self.assertEqual(0, run.returncode, run.stderr)
            self.assertEqual(blank, f"{self.path('opendkim.conf')}:5: PKCS11PinSource: PIN from file:{pin}: it begins or ends with a blank" in run.stderr, run.stderr)

    def test_the_key_of_key_file(self):
        """Without a usable key there nothing would be signed: -n and a start say so, with the line and the file."""
        key = self.own_key("mail.private")
        conf = f"Mode sv\nDomain example.com\nSelector mail\nKeyFile {key}\n"
        run = self.check(conf)
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn(f"    KeyFile {key} (s=mail, d=example.com)\n", run.stdout)
        self.assertIn("    KeyFile %s (s=mail, d=%%)\n" % key, self.check(conf.replace("example.com", "example.com,example.org")).stdout)
        for text, says in (("", "empty: make a key"), ("v=DKIM1; p=A\n", "no private key in PEM: name the SELECTOR.private")):
            with self.subTest(text=text):
                self.write("mail.private", text)
                for run in (self.check(conf), self.start(conf)):
                    self.assertEqual(78, run.returncode, run.stdout)
                    self.assertIn(f"{self.path('opendkim.conf')}:4: KeyFile: {key}: {says}", run.stderr)

    def test_a_key_file_that_the_user_cannot_read(self):
        harness.need(self, os.geteuid() == 0, "root")
        key = self.own_key("k.pem")
        os.chmod(os.path.dirname(key), 0o755)
        conf = self.tables(f"k1 example.com:s1:{key}\n") + f"UserID {harness.USER}\n"
        run = self.check(conf)
        self.assertIn(f"KeyTable:1: key 'k1': {key}: cannot be read by user {harness.USER}: chown {harness.USER} {key}", run.stderr)
        os.chown(key, pwd.getpwnam(harness.USER).pw_uid, -1)
        self.assertNotIn("cannot be read", self.check(conf).stderr)

    def test_more_key_files_than_are_named(self):
        missing = self.path("none.pem")
        run = self.check(self.tables("".join(f"k{i} example.com:s{i}:{missing}\n" for i in range(1, 26))))
        self.assertEqual(20, run.stderr.count(f"{missing}: No such file or directory"), run.stderr)
        self.assertIn("KeyTable: 5 more key files cannot be read\n", run.stderr)
        self.assertNotIn("its first", run.stderr)

    def test_more_key_files_than_are_looked_for(self):
        there = self.own_key("k.pem")
        for rows, said in ((10000, False), (10001, True)):
            run = self.check(self.tables("".join(f"k{i} example.com:s{i}:{there}\n" for i in range(1, rows + 1))))
            self.assertEqual(said, "KeyTable: only the key files of its first 10000 rows were looked for\n" in run.stderr, run.stderr)

    def test_what_a_start_would_refuse(self):
        """Nothing is bound, and yet -n says what a start says."""
        for lines, text in (("Socket inet:abc@localhost\n", f"{self.path('opendkim.conf')}:2: Socket: cannot find port abc"), ("Nameservers foo\n", "Nameservers:"),
                            ("Nameservers 127.0.0.1 127.0.0.2\n", "Nameservers:")):
            with self.subTest(lines=lines):
                run = self.check("Mode v\n" + lines)
                self.assertEqual(78, run.returncode, run.stdout)
                self.assertIn(text, run.stderr)
        for lines, text in (("", "Socket is not set"), ("Socket local:/nonexistent/d/s\n", f"{self.path('opendkim.conf')}:2: Socket: folder /nonexistent/d: No such file"),
                            ("PidFile /nonexistent/d/p\n", f"{self.path('opendkim.conf')}:2: PidFile: folder /nonexistent/d: No such file")):
            with self.subTest(lines=lines):
                run = self.check("Mode v\n" + lines)
                self.assertEqual(0, run.returncode, run.stderr)
                self.assertIn("warning: " + text, run.stderr)
        run = self.check(self.tables("k1 example.com:s1:/nonexistent/k.pem\n"))
        self.assertIn("KeyTable:1: key 'k1': /nonexistent/k.pem: No such file", run.stderr)

    def test_what_was_read_is_named(self):
        run = self.check("Mode v\n")
        self.assertTrue(run.stdout.startswith(f"configuration: {self.path('opendkim.conf')}\n"), run.stdout)
        self.assertNotIn("nothing will be signed", run.stderr)
        self.assertIn("nothing will be signed", self.check("Mode s\n").stderr)

    def test_all_errors_of_the_file_are_told(self):
        run = self.check("Mode q\nLogWhy yes\nSyslg yes\nMinimumKeyBits many\n")
        self.assertEqual(78, run.returncode)
        for line in (1, 3, 4):
            self.assertEqual(1, run.stderr.count(f"{self.path('opendkim.conf')}: configuration error at line {line}: "), run.stderr)

    def test_all_bad_rows_of_all_tables_are_told(self):
        """Once each, whichever process reads the table; the first as the error."""
        conf = self.tables("k1 example.com:s1:/k.pem\nk2\nk3 example.com\nk1 example.com:s1:/k.pem\nk4 %:s:pkcs11:token=x\n",
                           "example.com k1\nexample.org nosuch\nexample.net k1:me\nb.example\n")
        conf += f"TokenTable {self.write('tokens', 'a http://x' + chr(10) + 'b pkcs11:bogus=1?module-path=/m.so' + chr(10))}\n"
        conf += f"InternalHosts {self.write('hosts', '192.0.2.1/24' + chr(10) + '*.example' + chr(10))}\nPeerList 192.0.2.1/24,b.example\n"
        run = self.check(conf)
        self.assertEqual(78, run.returncode, run.stdout)
        errors = [line for line in run.stderr.splitlines() if line.startswith(("hsmdkim: ", "warning: also wrong: "))]
        for text in ("KeyTable:2: 'k2' has no value", "KeyTable:3: key 'k3': ", "KeyTable:4: 'k1' stands on line 1 already", "KeyTable:5: ",
                     "SigningTable:2: 'example.org' -> 'nosuch' names a key", "SigningTable:3: 'example.net' -> 'k1:me' has a signer",
                     "SigningTable:4: 'b.example' has no value", "tokens:1: token 'a': ", 'tokens:2: token \'b\': unknown attribute "bogus"',
                     "hosts:1: InternalHosts: ", "hosts:2: InternalHosts: ", "opendkim.conf:6: entry 1 of PeerList: "):
            self.assertEqual(1, sum(text in line for line in errors), f"{text}\n{run.stderr}")
        self.assertEqual(12, len(errors), run.stderr)
        self.assertEqual(1, sum(line.startswith("hsmdkim: ") for line in errors), run.stderr)

    def test_all_files_that_cannot_be_read_are_told(self):
        run = self.check(f"Mode sv\nKeyTable {self.path('nokeys')}\nSigningTable {self.path('nosigners')}\n"
                         f"TokenTable {self.path('notokens')}\nInternalHosts {self.path('nohosts')}\n")
        self.assertEqual(78, run.returncode, run.stdout)
        for name in ("KeyTable: nokeys", "SigningTable: nosigners", "TokenTable: notokens", "InternalHosts: nohosts"):
            setting, file = name.split()
            self.assertEqual(1, run.stderr.count(f"{setting} {self.path(file)}: cannot read"), run.stderr)

    def test_rows_of_a_token_table_are_told_with_those_of_others(self):
        """The supervisor reads its PINs before: it is not the one that complains."""
        conf = self.tables("k1\n") + f"TokenTable {self.write('tokens', 'a' + chr(10) + 'b pkcs11:?pin-source=%zz' + chr(10))}\n"
        run = self.check(conf)
        self.assertEqual(78, run.returncode)
        for text in ("KeyTable:1: 'k1' has no value", "tokens:1: 'a' has no value", "tokens:2: token 'b': pin-source: broken %-escape"):
            self.assertEqual(1, run.stderr.count(text), run.stderr)

    def test_very_many_bad_rows(self):
        run = self.check(self.tables("".join(f"k{i}\n" for i in range(200)), "".join(f"d{i}.example :\n" for i in range(100))))
        self.assertEqual(78, run.returncode)
        self.assertEqual(20, run.stderr.count("has no value"), run.stderr)
        self.assertEqual(20, run.stderr.count("has no key name"), run.stderr)
        self.assertIn("KeyTable: and 180 more; mend these and look again\n", run.stderr)
        self.assertIn("SigningTable: and 80 more; mend these and look again\n", run.stderr)

    def test_rows_of_lmdb_tables_are_walked(self):
        harness.need(self, os.access(os.path.join(harness.BIN, "hsmdkim-mktable"), os.X_OK), "hsmdkim-mktable")
        self.write("KeyTable", "k1 example.com:s1:/k.pem\n")
        self.write("SigningTable", "example.com k1\nexample.org nosuch\n")
        for name in ("KeyTable", "SigningTable"):
            harness.run([os.path.join(harness.BIN, "hsmdkim-mktable"), "-t", name, self.path(name), self.path(name + ".lmdb")])
        run = self.check(f"Mode s\nKeyTable lmdb:{self.path('KeyTable.lmdb')}\nSigningTable lmdb:{self.path('SigningTable.lmdb')}\n")
        self.assertEqual(78, run.returncode)
        self.assertIn("'example.org' -> 'nosuch' names a key", run.stderr)


if __name__ == "__main__":
    harness.main()
