#!/usr/bin/python3
"""One message through a private Postfix and a milter to a sink: for scripts/demo.

usage: deliver.py SOCKET MESSAGE DELIVERED     SOCKET as in hsmdkim.conf
"""
import os
import shutil
import sys
import tempfile

import postfix


def main():
    milter, message, delivered = sys.argv[1:]
    directory = tempfile.mkdtemp(prefix="hsmdkim-postfix-")
    sink = postfix.Sink()
    mta = postfix.Postfix(directory, milter.replace("local:", "unix:", 1), sink.port)
    try:
        mta.start()
        with open(message, "rb") as file:
            error = mta.smtp(file.read())
        if error:
            sys.exit(f"Postfix refused the message: {error}\n{mta.log()}")
        with open(delivered, "wb") as file:
            file.write(sink.wait(1)[0][2])
    finally:
        mta.stop()
        sink.close()
        if os.environ.get("E2E_KEEP") != "1":
            shutil.rmtree(directory)


main()
