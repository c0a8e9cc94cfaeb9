"""The MTA's side of the milter protocol, as Postfix speaks it: one class for a message, one for a connection.

Low level calls (packet, command) let a test send what no MTA would; submit() plays the whole dialogue.
Everything has a deadline.
"""
import dataclasses
import socket
import struct
import time

# Actions that a filter may ask for, and steps that it may wish away (mfdef.h).
ACTIONS_ALL = 0x1FF
STEP_NOCONNECT, STEP_NOHELO, STEP_NOMAIL, STEP_NORCPT = 0x1, 0x2, 0x4, 0x8
STEP_NOBODY, STEP_NOHDRS, STEP_NOEOH, STEP_NR_HDR = 0x10, 0x20, 0x40, 0x80
STEP_NOUNKNOWN, STEP_NODATA, STEP_SKIP, STEP_RCPT_REJ = 0x100, 0x200, 0x400, 0x800
STEP_NR_CONN, STEP_NR_HELO, STEP_NR_MAIL, STEP_NR_RCPT = 0x1000, 0x2000, 0x4000, 0x8000
STEP_NR_DATA, STEP_NR_UNKN, STEP_NR_EOH, STEP_NR_BODY = 0x10000, 0x20000, 0x40000, 0x80000
STEP_HDR_LEADSPC = 0x100000
STEPS_ALL = 0x1FFFFF

# command: (step flag that drops it, step flag that drops its reply)
STEP_OF = {
    b"C": (STEP_NOCONNECT, STEP_NR_CONN), b"H": (STEP_NOHELO, STEP_NR_HELO), b"M": (STEP_NOMAIL, STEP_NR_MAIL),
    b"R": (STEP_NORCPT, STEP_NR_RCPT), b"T": (STEP_NODATA, STEP_NR_DATA), b"L": (STEP_NOHDRS, STEP_NR_HDR),
    b"N": (STEP_NOEOH, STEP_NR_EOH), b"B": (STEP_NOBODY, STEP_NR_BODY), b"E": (0, 0),
}

CHUNK_MAX = 65535
PACKET_MAX = 64 * 1024 * 1024

FINAL = {b"a": "accept", b"c": "continue", b"r": "reject", b"t": "tempfail", b"d": "discard", b"y": "reply",
         b"s": "skip", b"f": "connfail", b"4": "shutdown"}


class MilterError(Exception):
    """The filter broke the protocol, closed the connection or was too late."""


@dataclasses.dataclass
class Message:
    """A message as an MTA holds it: fields are (name, value), value is all behind the colon, folds are LF."""
    fields: list
    body: bytes

    @classmethod
    def parse(cls, raw):
        """From wire form (CRLF). A line without a colon that is not a fold ends the header, as in Postfix."""
        fields, rest = [], raw
        while rest and not rest.startswith(b"\r\n"):
            line, _, after = rest.partition(b"\r\n")
            if line[:1] in (b" ", b"\t") and fields:
                fields[-1][1] += b"\n" + line
            elif b":" in line:
                name, _, value = line.partition(b":")
                fields.append([name, value])
            else:
                break
            rest = after
        body = rest[2:] if rest.startswith(b"\r\n") else rest
        return cls([tuple(field) for field in fields], body)

    def wire(self):
        """As SMTP carries it: a last line without CRLF gets one."""
        end = b"" if not self.body or self.body.endswith(b"\r\n") else b"\r\n"
        head = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in self.fields)
        return head + b"\r\n" + self.body + end

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def copy(self):
        return Message(list(self.fields), self.body)

    # What a filter may ask for at end of message.
    def insert(self, index, name, value):
        self.fields.insert(min(index, len(self.fields)), (name, value))

    def change(self, index, name, value):
        """The index-th field of that name, 1 is the first; an empty value deletes; past the last one adds."""
        places = [i for i, (key, _) in enumerate(self.fields) if key.lower() == name.lower()]
        index = max(index, 1)
        if index > len(places):
            if value:
                self.fields.append((name, value))
        elif value:
            self.fields[places[index - 1]] = (self.fields[places[index - 1]][0], value)
        else:
            del self.fields[places[index - 1]]


@dataclasses.dataclass
class Envelope:
    """Who sends what to whom: defaults are a message from sendmail(1) on this host."""
    host: bytes = b"localhost"
    address: str = "127.0.0.1"
    helo: bytes = b"localhost"
    sender: bytes = b"<sender@example.com>"
    recipients: tuple = (b"<recipient@example.net>",)
    queue_id: bytes = b"4QxYzA1b2C"
    macros_connect: dict = dataclasses.field(default_factory=lambda: {
        b"j": b"mail.example.com", b"{daemon_name}": b"mail.example.com", b"v": b"Postfix 3.7.11"})
    macros_mail: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Outcome:
    """What the filter made of one message."""
    answer: str = "continue"  # accept, continue, reject, tempfail, discard, reply
    reply: bytes = b""  # "451 4.7.0 text" when answer is reply
    stage: str = ""  # the command that got the final answer: M, R, N, E, ...
    message: Message = None  # with all modifications applied
    quarantine: bytes = b""
    modifications: list = dataclasses.field(default_factory=list)
    body_sent: int = 0
    seconds: float = 0.0

    @property
    def accepted(self):
        return self.answer in ("accept", "continue")

    @property
    def temporary(self):
        return self.answer == "tempfail" or self.answer == "reply" and self.reply.startswith(b"4")

    @property
    def permanent(self):
        return self.answer == "reject" or self.answer == "reply" and self.reply.startswith(b"5")

    @property
    def signatures(self):
        """The DKIM-Signature values that this filter added, the topmost first."""
        return self.added(b"DKIM-Signature")

    @property
    def results(self):
        """The Authentication-Results values that this filter added, the topmost first."""
        return self.added(b"Authentication-Results")

    def added(self, field):
        return [change[3] for change in reversed(self.modifications)
                if change[0] in ("insert", "add") and change[2].lower() == field.lower()]


def connect_socket(address, timeout):
    """address: local:/path, unix:/path, inet:port@host, inet6:port@host"""
    kind, _, rest = address.partition(":")
    if kind in ("local", "unix"):
        sock = socket.socket(socket.AF_UNIX)
        where = rest
    else:
        port, _, host = rest.partition("@")
        sock = socket.socket(socket.AF_INET6 if kind == "inet6" else socket.AF_INET)
        where = (host.strip("[]") or "127.0.0.1", int(port))
    sock.settimeout(timeout)
    try:
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


class MilterClient:
    def __init__(self, address, timeout=30, steps=STEPS_ALL, actions=ACTIONS_ALL, version=6, negotiate=True):
        self.deadline_s = timeout
        self.sock = connect_socket(address, timeout)
        self.steps = self.actions = 0
        self.symbols = {}
        if negotiate:
            self.negotiate(version, actions, steps)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    # Packets.
    def packet(self, command, data=b""):
        self.sock.settimeout(self.deadline_s)
        try:
            self.sock.sendall(struct.pack("!I", len(data) + 1) + command + data)
        except (OSError, socket.timeout) as error:
            raise MilterError(f"sending {command!r}: {error}") from error

    def receive_exactly(self, count, deadline):
        parts = []
        while count > 0:
            left = deadline - time.monotonic()
            if left <= 0:
                raise MilterError(f"no answer within {self.deadline_s} s")
            self.sock.settimeout(left)
            try:
                part = self.sock.recv(min(count, 1 << 20))
            except socket.timeout as error:
                raise MilterError(f"no answer within {self.deadline_s} s") from error
            except OSError as error:
                raise MilterError(f"connection lost: {error}") from error
            if not part:
                raise MilterError("connection closed by the filter")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def receive(self):
        deadline = time.monotonic() + self.deadline_s
        size, = struct.unpack("!I", self.receive_exactly(4, deadline))
        if not 1 <= size <= PACKET_MAX:
            raise MilterError(f"packet of {size} bytes")
        data = self.receive_exactly(size, deadline)
        return data[:1], data[1:]

    def negotiate(self, version, actions, steps):
        self.packet(b"O", struct.pack("!III", version, actions, steps))
        command, data = self.receive()
        if command != b"O" or len(data) < 12:
            raise MilterError(f"negotiation answered with {command!r}")
        self.version, self.actions, self.steps = struct.unpack("!III", data[:12])
        if self.steps & ~steps or self.actions & ~actions:
            raise MilterError(f"filter wants more than was offered: 0x{self.actions:x} 0x{self.steps:x}")
        rest = data[12:]
        while len(rest) > 4:
            stage, = struct.unpack("!I", rest[:4])
            names, _, rest = rest[4:].partition(b"\0")
            self.symbols[stage] = names.split()

    @property
    def leading_space(self):
        return bool(self.steps & STEP_HDR_LEADSPC)

    # Commands.
    def macros(self, command, values):
        if values:
            self.packet(b"D", command + b"".join(k + b"\0" + v + b"\0" for k, v in values.items()))

    def command(self, command, data=b"", macros=None):
        """Send one step. @return (answer, text); "continue" when the filter wants no such step or no reply to it."""
        no_step, no_reply = STEP_OF[command]
        if self.steps & no_step:
            return "continue", b""
        self.macros(command, macros)
        self.packet(command, data)
        if self.steps & no_reply:
            return "continue", b""
        while True:
            answer, text = self.receive()
            if answer == b"p":
                continue
            if answer not in FINAL:
                raise MilterError(f"{command!r} answered with {answer!r}")
            return FINAL[answer], text.rstrip(b"\0")

    def connect(self, envelope):
        if ":" in envelope.address:
            peer = b"6" + struct.pack("!H", 12345) + envelope.address.encode() + b"\0"
        elif envelope.address:
            peer = b"4" + struct.pack("!H", 12345) + envelope.address.encode() + b"\0"
        else:
            peer = b"U"
        return self.command(b"C", envelope.host + b"\0" + peer, envelope.macros_connect)

    def header(self, name, value):
        """value: all behind the colon; the space after it goes when the filter did not ask for it."""
        if not self.leading_space and value[:1] == b" ":
            value = value[1:]
        return self.command(b"L", name + b"\0" + value + b"\0")

    def end_of_message(self, envelope, outcome):
        """EOM: collects and applies modifications until the final answer."""
        self.macros(b"E", {b"i": envelope.queue_id})
        self.packet(b"E")
        while True:
            answer, data = self.receive()
            if answer in FINAL:
                return FINAL[answer], data.rstrip(b"\0")
            if answer != b"p":
                self.modify(outcome, answer, data)

    def modify(self, outcome, kind, data):
        message = outcome.message

        def space(value):
            return value if self.leading_space else b" " + value

        if kind in (b"i", b"m"):
            index, = struct.unpack("!I", data[:4])
            name, value = data[4:].split(b"\0")[:2]
            if kind == b"i":
                message.insert(index, name, space(value))
                outcome.modifications.append(("insert", index, name, space(value)))
            else:
                message.change(index, name, space(value) if value else b"")
                outcome.modifications.append(("change", index, name, value))
        elif kind == b"h":
            name, value = data.split(b"\0")[:2]
            message.insert(len(message.fields), name, space(value))
            outcome.modifications.append(("add", -1, name, space(value)))
        elif kind in (b"+", b"-"):
            outcome.modifications.append(("add recipient" if kind == b"+" else "delete recipient", 0, data.rstrip(b"\0"), b""))
        elif kind == b"q":
            outcome.quarantine = data.rstrip(b"\0")
        else:
            raise MilterError(f"unexpected modification {kind!r}")

    # The whole dialogue.
    def submit(self, message, envelope=None, chunks=None, connect=True):
        """
        Play one message as Postfix does.
        @param chunks  sizes of the body chunks, the last one repeats; None: as large as allowed
        @param connect False for a second message on the same connection
        """
        envelope = envelope or Envelope()
        outcome = Outcome(message=message.copy())
        started = time.monotonic()
        for stage, step in self.dialogue(message, envelope, chunks, connect, outcome):
            answer, text = step()
            if answer == "skip":
                continue
            if answer != "continue":
                break
        outcome.answer, outcome.reply, outcome.stage = answer, text, stage
        outcome.seconds = time.monotonic() - started
        return outcome

    def dialogue(self, message, envelope, chunks, connect, outcome):
        queue_id = {b"i": envelope.queue_id}
        if connect:
            yield "C", lambda: self.connect(envelope)
            yield "H", lambda: self.command(b"H", envelope.helo + b"\0")
        yield "M", lambda: self.command(b"M", envelope.sender + b"\0", envelope.macros_mail)
        for recipient in envelope.recipients:
            yield "R", lambda: self.command(b"R", recipient + b"\0", queue_id)
        yield "T", lambda: self.command(b"T", macros=queue_id)
        for name, value in message.fields:
            yield "L", lambda: self.header(name, value)
        yield "N", lambda: self.command(b"N", macros=queue_id)
        skipped = []

        def body(chunk):
            answer = self.command(b"B", chunk)
            outcome.body_sent += len(chunk)
            if answer[0] == "skip":
                skipped.append(True)
            return answer

        for chunk in split(message.body, chunks):
            if skipped:
                break
            yield "B", lambda: body(chunk)
        yield "E", lambda: self.end_of_message(envelope, outcome)

    def abort(self):
        self.packet(b"A")

    def quit(self):
        self.packet(b"Q")


def split(body, chunks=None):
    """Cut the body: chunks are sizes, the last one repeats."""
    sizes = list(chunks or [CHUNK_MAX])
    start = number = 0
    while start < len(body):
        size = min(sizes[min(number, len(sizes) - 1)], CHUNK_MAX)
        yield body[start:start + size]
        start += size
        number += 1


def send(address, message, envelope=None, chunks=None, timeout=30, steps=STEPS_ALL):
    """One message on one connection."""
    with MilterClient(address, timeout, steps) as client:
        outcome = client.submit(message, envelope, chunks)
        try:
            client.quit()
        except MilterError:
            pass  # the filter may have closed first
        return outcome
