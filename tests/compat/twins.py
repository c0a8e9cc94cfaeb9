"""OpenDKIM and hsmdkim with the same configuration: started together, sent the same message, and what each made of it.

A Pair is one configuration. observe() gives one Observation a daemon; compare.py says where the two differ.
"""
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import harness  # noqa: E402  (the path is set above)
import milterclient  # noqa: E402
import verifiers  # noqa: E402

OPENDKIM, HSMDKIM = "opendkim", "hsmdkim"
SHIM = os.path.join(os.environ.get("LIB", os.path.join(harness.ROOT, "build/release/lib")), "libsyslogshim.so")
NAMES = (OPENDKIM, HSMDKIM)
SAME_SECOND_TRIES = 4


@dataclasses.dataclass
class Observation:
    """What one daemon made of one message."""
    outcome: milterclient.Outcome
    log: list = dataclasses.field(default_factory=list)  # its lines, without program, level and queue id

    @property
    def answer(self):
        if self.outcome.temporary or self.outcome.permanent:
            return "deferred" if self.outcome.temporary else "rejected"
        return "passed" if self.outcome.accepted else self.outcome.answer

    @property
    def reply(self):
        return self.outcome.reply.decode("utf-8", "replace")

    @property
    def quarantine(self):
        return self.outcome.quarantine.decode("utf-8", "replace")

    @property
    def signatures(self):
        return [verifiers.tags_of(value) for value in self.outcome.signatures]

    @property
    def other_changes(self):
        return [(change[0], change[1], change[2].lower(), change[3]) for change in self.outcome.modifications
                if change[0] not in ("insert", "add") or change[2].lower() not in (b"dkim-signature", b"authentication-results")]

    @property
    def results(self):
        """The Authentication-Results fields, unfolded. Debian's OpenDKIM has ATPS built in and says so in each."""
        texts = [re.sub(rb"\n\s*", b" ", value).strip().decode("utf-8", "replace") for value in self.outcome.results]
        texts = [text.replace("; dkim-atps=neutral", "") for text in texts]
        return [re.sub(r'header\.b="([^"]*)"', r"header.b=\1", text) for text in texts]  # "/" wants quotes, which it omits

    @property
    def layout(self):
        """The fields as they were written, without what the clock decides; how z= and b= are folded is not looked at."""
        heads = [re.split(rb"\t[bz]=", value)[0] for value in self.outcome.signatures]
        return [re.sub(rb"\b([tx])=\d+", rb"\1=N", head) for head in heads]

    @property
    def whole_layout(self):
        """All that a signature covers of its own field: where these are the same, the same key makes the same bytes."""
        return [value.partition(b"\tb=")[0] for value in self.outcome.signatures]

    @property
    def places(self):
        return [change[:2] for change in self.outcome.modifications if change[2].lower() == b"dkim-signature"]


LOG_LINE = re.compile(r"PROGRAM\[\d+\]: ")


def plain_output(text):
    """What -t writes, without Debian's ATPS, with fields unfolded, quotes of header.b and the folds of b= left out."""
    text = re.sub(r"\r?\n[ \t]+", " ", text).replace("; dkim-atps=neutral", "")
    text = re.sub(r'header\.b="([^"]*)"', r"header.b=\1", text)
    text = re.sub(r"(?<=[ \t])b=[A-Za-z0-9+/= ]+", lambda found: found[0].replace(" ", ""), text)
    return text.splitlines()


class Twin(harness.Daemon):
    """One of the two. Its configuration is the text as given, with the socket of its own."""

    def __init__(self, directory, program, text):
        self.text = text
        self.kind = program
        environment = {"LD_PRELOAD": SHIM} if program == OPENDKIM else {}
        path = shutil.which(OPENDKIM, path=os.environ["PATH"] + ":/usr/sbin") if program == OPENDKIM else None
        super().__init__(directory, {}, environment, program=path)

    def configure(self, **unused):
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"Socket {self.socket}\n{self.text}")

    def check(self):
        """Only read the configuration. @return (exit status, what it wrote)"""
        result = subprocess.run([self.program, "-n", "-x", self.conf], stdin=subprocess.DEVNULL, timeout=30,
                                capture_output=True, check=False, env=self.environment)
        return result.returncode, (result.stdout + result.stderr).decode("utf-8", "replace")

    def call(self, arguments, stdin):
        """Run it once in its own folder. @return (exit status, standard output, standard error) as text, without what is its name only"""
        arguments = [one.replace("{conf}", self.conf) for one in arguments]
        result = subprocess.run([self.program, *arguments], input=stdin, timeout=60, capture_output=True, check=False,
                                cwd=self.directory, env=self.environment)
        out, err = (text.decode("utf-8", "replace").replace(self.conf, "CONF").replace(os.path.dirname(self.directory), "DIR").replace(self.kind, "PROGRAM")
                    for text in (result.stdout, result.stderr))
        return result.returncode, plain_output(out), [line for line in err.splitlines() if not LOG_LINE.match(line)]

    def halt(self):
        """OpenDKIM takes seconds to end by SIGTERM."""
        if self.process is None:
            return
        if self.kind == OPENDKIM:
            self.kill()
        else:
            self.stop(expected_status=None)

    def lines_of(self, queue_id):
        lines = []
        for line in self.log().splitlines():
            match = harness.LINE.match(line)
            if match and match["text"].startswith(queue_id + ": "):
                lines.append(match["text"][len(queue_id) + 2:].replace(os.path.dirname(self.directory), "DIR"))
        return lines


class Pair:
    """
    Both daemons with one configuration.
    @param text   the configuration; {dir} is the directory with the files
    @param files  {name: text}: tables and keys, written to that directory
    """

    def __init__(self, directory, text, files):
        self.directory = directory
        os.mkdir(directory)
        for name, content in files.items():
            path = os.path.join(directory, name)
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.replace("{dir}", directory).encode())
            os.chmod(path, 0o600)
        text = text.replace("{dir}", directory)
        self.twins = {}
        for name in NAMES:
            os.mkdir(os.path.join(directory, name))
            self.twins[name] = Twin(os.path.join(directory, name), name, text)
        self.give()
        self.number = 0
        self.sent = []

    def give(self):
        """To the user whom both run as when the test is root's."""
        if os.geteuid() != 0:
            return
        for folder, _, names in os.walk(self.directory):
            for path in [folder] + [os.path.join(folder, name) for name in names]:
                shutil.chown(path, harness.USER)

    def check(self):
        return {name: twin.check() for name, twin in self.twins.items()}

    def call(self, arguments, stdin):
        """{dir} in an argument is the folder of the files. @return {name: (exit status, output, errors)}"""
        return {name: twin.call([one.replace("{dir}", self.directory) for one in arguments], stdin) for name, twin in self.twins.items()}

    def start(self):
        for twin in self.twins.values():
            twin.start(wait=False)
        for twin in self.twins.values():
            harness.wait_for(twin.reachable, twin.ready_s, f"{twin.kind} takes connections\n{twin.log()}")

    def send(self, message, envelope):
        """@return {name: Observation}; signatures of both are of the same second where they have one"""
        for _ in range(SAME_SECOND_TRIES):
            self.number += 1
            envelope = dataclasses.replace(envelope, queue_id=b"Q%06d" % self.number)
            seen = {name: Observation(self.send_one(name, message, envelope)) for name in NAMES}
            times = {tags.get("t") for one in seen.values() for tags in one.signatures}
            if len(times) <= 1:
                break
        self.sent.append((envelope.queue_id.decode(), seen))
        return seen

    def send_one(self, name, message, envelope):
        """A daemon that dies of a message is started again for the next one."""
        twin = self.twins[name]
        try:
            return milterclient.send(twin.socket, message, envelope)
        except (milterclient.MilterError, OSError):
            if twin.process.wait(5) is not None:
                twin.start()
            return milterclient.Outcome(answer="died", message=message)

    def stop(self):
        """End both; their logs belong to the observations from now on."""
        for twin in self.twins.values():
            twin.halt()
        for queue_id, seen in self.sent:
            for name, observation in seen.items():
                observation.log = self.twins[name].lines_of(queue_id)

    def kill(self):
        for twin in self.twins.values():
            twin.kill()


def status_text(status):
    """An exit status as an administrator sees it."""
    return signal.Signals(-status).name if status < 0 else {0: "read"}.get(status, f"refused ({status})")
