#!/usr/bin/python3
"""Makes the messages of this directory anew, signed by three independent programs: dkimpy, Mail::DKIM and OpenDKIM.

usage: make.py            (in any directory; needs python3-dkim, python3-nacl, libmail-dkim-perl, opendkim, openssl)

The keys are thrown away; their public halves go to keys.txt: "name<TAB>record" a line. Lines end in LF in the files;
the test puts the CR back.
"""
import base64
import os
import subprocess
import sys
import tempfile
import time

import dkim
import nacl.signing

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "e2e"))
import milterclient  # noqa: E402

DOMAIN = "football.example.com"
MESSAGE = (b"Received: from a.example\n\tby b.example; Tue,  1 Jan 2019 00:00:00 +0000\n"
           b"Received: from c.example\n  by\n\td.example\n"
           b"From: Joe \"Six=Pack\" <joe@football.example.com>\nTo: a@shop.example,\n \t b@shop.example  \n"
           b"SUBJECT:no space behind the colon\t \nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"
           b"X-Empty:\nMessage-ID: <1@football.example.com>\nMIME-Version: 1.0\n"
           b"Content-Type: text/plain;\n\tcharset=utf-8\nContent-Transfer-Encoding: 8bit\n"
           b"\n"
           b"Hi.  Two  blanks,\ta tab,\t \ttrailing blanks \t \n\n \n.\n..\ncaf\xc3\xa9\n\n\n\n").replace(b"\n", b"\r\n")

PERL = r"""
use Mail::DKIM::Signer; binmode STDIN; binmode STDOUT;
my ($method, $selector, $file) = @ARGV; my $message = do { local $/; <STDIN> };
my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $method, Domain => 'football.example.com',
    Selector => $selector, KeyFile => $file);
$signer->PRINT($message); $signer->CLOSE; print $signer->signature->as_string, "\r\n";
"""


def write(name, signature):
    with open(os.path.join(HERE, name + ".eml"), "wb") as out:
        out.write((signature + MESSAGE).replace(b"\r\n", b"\n"))


def rsa_key(folder, records, selector):
    path = os.path.join(folder, selector)
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", path, "2048"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    records[selector] = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
    return path


def by_dkimpy(path, seed):
    with open(path, "rb") as file:
        pem = file.read()
    for header in (b"relaxed", b"simple"):
        for body in (b"relaxed", b"simple"):
            name = "-".join((header.decode(), body.decode()))
            write("dkimpy-rsa-" + name, dkim.sign(MESSAGE, b"rsa", DOMAIN.encode(), pem, canonicalize=(header, body)))
            write("dkimpy-ed25519-" + name, dkim.sign(MESSAGE, b"ed", DOMAIN.encode(), base64.b64encode(seed),
                  canonicalize=(header, body), signature_algorithm=b"ed25519-sha256",
                  include_headers=[b"from", b"from", b"to", b"content-type", b"subject", b"x-empty", b"x-absent"]))
    write("dkimpy-rsa-length", dkim.sign(MESSAGE, b"rsa", DOMAIN.encode(), pem, canonicalize=(b"relaxed", b"relaxed"), length=True))


def by_mail_dkim(path):
    for method in ("relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"):
        signature = subprocess.run(["perl", "-e", PERL, method, "rsa", path], input=MESSAGE, check=True, capture_output=True).stdout
        write("maildkim-rsa-" + method.replace("/", "-"), signature)


def by_opendkim(folder, path):
    os.chmod(path, 0o600)
    for method in ("relaxed/relaxed", "simple/simple", "relaxed/simple"):
        socket = os.path.join(folder, method.replace("/", "-"))
        address = "local:" + socket
        with open(socket + ".conf", "w", encoding="ascii") as conf:
            conf.write(f"Mode s\nDomain {DOMAIN}\nSelector rsa\nKeyFile {path}\nCanonicalization {method}\nSyslog no\n"
                       f"Background no\nSocket {address}\nRequireSafeKeys no\nOversignHeaders From\nDiagnostics yes\n")
        daemon = subprocess.Popen(["/usr/sbin/opendkim", "-f", "-x", socket + ".conf"])
        while not os.path.exists(socket) and daemon.poll() is None:
            time.sleep(0.05)
        with milterclient.MilterClient(address) as client:
            outcome = client.submit(milterclient.Message.parse(MESSAGE))
        daemon.terminate()
        daemon.wait(20)
        value = outcome.signatures[0].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        write("opendkim-rsa-" + method.replace("/", "-"), b"DKIM-Signature:" + value + b"\r\n")


def main():
    records = {}
    with tempfile.TemporaryDirectory() as folder:
        path = rsa_key(folder, records, "rsa")
        key = nacl.signing.SigningKey.generate()
        records["ed"] = "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(key.verify_key)).decode()
        by_dkimpy(path, bytes(key))
        by_mail_dkim(path)
        by_opendkim(folder, path)
    with open(os.path.join(HERE, "keys.txt"), "w", encoding="ascii") as out:
        for selector, record in records.items():
            out.write(f"{selector}._domainkey.{DOMAIN}\t{record}\n")


if __name__ == "__main__":
    main()
