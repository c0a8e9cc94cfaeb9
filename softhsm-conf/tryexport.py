#!/usr/bin/python3
"""Ask a token for the secret part of a private RSA key. Exit status 0: it was refused.

usage: PIN=... tryexport.py MODULE TOKEN LABEL
"""
import ctypes
import os
import sys

from genkeys import CKO_PRIVATE, ULONG, Attribute, Token, template

CKA_PRIVATE_EXPONENT = 0x123
CKR_ATTRIBUTE_SENSITIVE = 0x11


def main():
    module, token_label, label = sys.argv[1:]
    token = Token(module, token_label.encode(), os.environ["PIN"].encode())
    wanted = template(CLASS=CKO_PRIVATE, LABEL=label.encode())
    key, count = ULONG(), ULONG()
    token.call("C_FindObjectsInit", token.session, wanted, ULONG(len(wanted)))
    token.call("C_FindObjects", token.session, ctypes.byref(key), ULONG(1), ctypes.byref(count))
    if count.value != 1:
        sys.exit(f"tryexport: no private key {label}")
    secret = ctypes.create_string_buffer(1024)
    asked = (Attribute * 1)(Attribute(CKA_PRIVATE_EXPONENT, ctypes.addressof(secret), len(secret)))
    code = token.lib.C_GetAttributeValue(token.session, key, asked, ULONG(1))
    if code == 0:
        sys.exit("  C_GetAttributeValue(CKA_PRIVATE_EXPONENT): handed out!")
    name = "CKR_ATTRIBUTE_SENSITIVE" if code == CKR_ATTRIBUTE_SENSITIVE else f"0x{code:x}"
    print(f"  C_GetAttributeValue(CKA_PRIVATE_EXPONENT): {name}")


main()
