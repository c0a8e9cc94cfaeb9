"""A private Postfix instance and the SMTP sink that it delivers to. Nothing leaves 127.0.0.1, nothing of the host's
own Postfix is touched: configuration, queue and data directories are temporary."""
import email
import os
import re
import shutil
import smtplib
import socket
import socketserver
import subprocess
import threading

import harness

# Postfix's daemons that the test needs; "y" would chroot.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 1 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 1 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
showq     unix n - n - - showq
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {directory}/spool
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mail.example.com
myorigin = example.com
mydestination =
local_transport = error:no local delivery here
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_milters = {milter}
non_smtpd_milters = $smtpd_milters
internal_mail_filter_classes = bounce
milter_default_action = tempfail
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
syslog_name = postfix
smtpd_peername_lookup = no
disable_dns_lookups = yes
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
import_environment = MAIL_CONFIG
{more}
"""


class Sink:
    """An SMTP server that keeps what it is given: (sender, recipients, raw message)."""

    def __init__(self, refuse=None):
        """@param refuse recipients that match this pattern get a 550: to make bounces"""
        self.messages = []
        self.lock = threading.Lock()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 60

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                self.say("220 sink")
                sender, recipients = b"", []
                while line := self.rfile.readline(4096):
                    verb = line[:4].upper()
                    if verb in (b"EHLO", b"HELO"):
                        self.wfile.write(b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n" if verb == b"EHLO" else b"250 sink\r\n")
                    elif verb == b"MAIL":
                        sender, recipients = line[10:].split(b">")[0].lstrip(b"<: "), []
                        self.say("250 ok")
                    elif verb == b"RCPT":
                        recipient = line[8:].split(b">")[0].lstrip(b"<: ")
                        if refuse and re.search(refuse, recipient):
                            self.say("550 5.1.1 nobody here")
                        else:
                            recipients.append(recipient)
                            self.say("250 ok")
                    elif verb == b"DATA":
                        self.say("354 go on")
                        outer.keep(sender, recipients, self.read_data())
                        self.say("250 kept")
                    elif verb == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

            def read_data(self):
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    if not line:
                        raise ConnectionError("cut in DATA")
                    lines.append(line[1:] if line.startswith(b".") else line)
                return b"".join(lines)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def keep(self, sender, recipients, raw):
        with self.lock:
            self.messages.append((sender, recipients, raw))

    def wait(self, count, timeout=60):
        harness.wait_for(lambda: len(self.messages) >= count, timeout, f"{count} messages at the sink")
        return list(self.messages)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Postfix:
    def __init__(self, directory, milter, sink_port, **more):
        self.directory = directory
        self.port = free_port()
        self.conf = os.path.join(directory, "etc")
        for name in ("etc", "spool", "data"):
            os.mkdir(os.path.join(directory, name))
        os.chmod(directory, 0o755)
        shutil.chown(os.path.join(directory, "data"), "postfix")
        with open(os.path.join(self.conf, "main.cf"), "w", encoding="ascii") as file:
            file.write(MAIN_CF.format(directory=directory, sink=sink_port, milter=milter,
                                      more="\n".join(f"{name} = {value}" for name, value in more.items())))
        with open(os.path.join(self.conf, "master.cf"), "w", encoding="ascii") as file:
            file.write(MASTER_CF.format(port=self.port))
        self.log_path = os.path.join(directory, "maillog")

    def command(self, *arguments, check=True):
        result = subprocess.run(["postfix", "-c", self.conf, *arguments], capture_output=True, timeout=300, check=False)
        if check and result.returncode != 0:
            raise AssertionError(f"postfix {arguments}: {result.stderr.decode(errors='replace')}\n{self.log()}")
        return result.returncode

    def start(self):
        self.command("start")
        harness.wait_for(self.reachable, 30, "Postfix takes connections")
        return self

    def reachable(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                return sock.recv(3) == b"220"
        except OSError:
            return False

    def stop(self):
        """Postfix's own stop, then wait until the master process is gone."""
        pid_path = os.path.join(self.directory, "spool/pid/master.pid")
        try:
            with open(pid_path, encoding="ascii") as file:
                pid = int(file.read())
        except FileNotFoundError:
            return
        self.command("stop", check=False)
        harness.wait_for(lambda: not harness.alive(pid), 30, "Postfix ends")

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # Mail in.
    def smtp(self, raw, sender="alice@example.com", recipients=("bob@example.net",), options=()):
        """@return None, or the SMTP error that the client got"""
        try:
            with smtplib.SMTP("127.0.0.1", self.port, "client.example.com", timeout=60) as client:
                client.sendmail(sender, recipients, raw, mail_options=options)
        except (smtplib.SMTPException, OSError) as error:
            return error
        return None

    def sendmail(self, raw, sender="alice@example.com", recipients=("bob@example.net",)):
        """The sendmail(1) path: pickup, cleanup, non_smtpd_milters."""
        harness.run(["sendmail", "-C", self.conf, "-i", "-f", sender, *recipients], input=raw.replace(b"\r\n", b"\n"))

    def queue(self):
        """Queue ids of what is not delivered."""
        out = harness.run(["postqueue", "-c", self.conf, "-p"]).decode()
        return re.findall(r"^([0-9A-Za-z]{6,})[*! ]", out, re.M)

    def flush(self):
        """Have the queue tried now. postqueue gives up (69) when qmgr does not answer on a loaded machine: to be called again."""
        result = subprocess.run(["postqueue", "-c", self.conf, "-f"], capture_output=True, timeout=300)
        if result.returncode not in (0, os.EX_UNAVAILABLE):
            raise AssertionError(f"postqueue -f: exit {result.returncode}: {result.stderr.decode(errors='replace')}")


def header_of(raw):
    return email.message_from_bytes(raw.replace(b"\r\n", b"\n"))
