#!/usr/bin/python3
"""Make signing keys on a token, every attribute set by hand. Called by make-token.

pkcs11-tool can't do this: with SoftHSM it leaves DECRYPT and UNWRAP on, so its keys have a second use.

usage: PIN=... genkeys.py MODULE TOKEN LABEL=TYPE[,OPTION...]...
  TYPE    rsa:BITS or ed25519
  OPTION  id=XX (hex; default 01, 02, ...), extractable, insensitive, always-auth, no-public (public object removed)
"""
import ctypes
import os
import sys

ULONG = ctypes.c_ulong
# Cryptoki 2.40 and 3.0, the few numbers that are needed.
CKO_PUBLIC, CKO_PRIVATE = 2, 3
CKM_RSA_PAIR, CKM_EDWARDS_PAIR = 0x0000, 0x1055
CKF_SERIAL, CKF_RW, CKU_USER = 4, 2, 1
CKA = dict(CLASS=0, TOKEN=1, PRIVATE=2, LABEL=3, ID=0x102, SENSITIVE=0x103, ENCRYPT=0x104, DECRYPT=0x105,
           WRAP=0x106, UNWRAP=0x107, SIGN=0x108, SIGN_RECOVER=0x109, VERIFY=0x10A, VERIFY_RECOVER=0x10B,
           DERIVE=0x10C, MODULUS_BITS=0x121, PUBLIC_EXPONENT=0x122, EXTRACTABLE=0x162, MODIFIABLE=0x170,
           EC_PARAMS=0x180, ALWAYS_AUTHENTICATE=0x202)
OID_ED25519 = bytes.fromhex("06032b6570")


class Attribute(ctypes.Structure):
    _fields_ = [("type", ULONG), ("value", ctypes.c_void_p), ("length", ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", ULONG), ("parameter", ctypes.c_void_p), ("length", ULONG)]


def template(**attributes):
    """A CK_ATTRIBUTE array; bool, int and bytes become CK_BBOOL, CK_ULONG and byte arrays."""
    rows = (Attribute * len(attributes))()
    rows.keep = []
    for row, (name, value) in zip(rows, attributes.items()):
        if isinstance(value, bool):
            value = bytes([value])
        elif isinstance(value, int):
            value = value.to_bytes(ctypes.sizeof(ULONG), sys.byteorder)
        block = ctypes.create_string_buffer(value, len(value))
        rows.keep.append(block)
        row.type, row.value, row.length = CKA[name], ctypes.addressof(block), len(value)
    return rows


class Token:
    """A session with the token of that label, logged in."""

    def __init__(self, module, label, pin):
        self.lib = ctypes.CDLL(module)
        self.call("C_Initialize", None)
        self.session = ULONG()
        self.call("C_OpenSession", self.slot(label), ULONG(CKF_SERIAL | CKF_RW), None, None,
                  ctypes.byref(self.session))
        self.call("C_Login", self.session, ULONG(CKU_USER), pin, ULONG(len(pin)))

    def call(self, name, *arguments):
        code = getattr(self.lib, name)(*arguments)
        if code != 0:
            sys.exit(f"genkeys: {name} failed: 0x{code & 0xffffffff:x}")

    def slot(self, label):
        count = ULONG(64)
        slots = (ULONG * 64)()
        self.call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        for slot in slots[:count.value]:
            info = ctypes.create_string_buffer(512)  # CK_TOKEN_INFO begins with the label, 32 blank-padded bytes
            self.call("C_GetTokenInfo", ULONG(slot), info)
            if info.raw[:32].rstrip(b" ") == label:
                return ULONG(slot)
        sys.exit(f"genkeys: no token {label.decode()}")

    def generate(self, label, kind, key_id, options):
        public = dict(TOKEN=True, PRIVATE=False, LABEL=label, ID=key_id, VERIFY=True, VERIFY_RECOVER=False,
                      ENCRYPT=False, WRAP=False)
        private = dict(TOKEN=True, PRIVATE=True, LABEL=label, ID=key_id, SIGN=True, SIGN_RECOVER=False,
                       DECRYPT=False, UNWRAP=False, DERIVE=False, MODIFIABLE=False,
                       SENSITIVE="insensitive" not in options, EXTRACTABLE="extractable" in options,
                       ALWAYS_AUTHENTICATE="always-auth" in options)
        if kind == "ed25519":
            public["EC_PARAMS"] = OID_ED25519
            mechanism = Mechanism(CKM_EDWARDS_PAIR, None, 0)
        else:
            public.update(MODULUS_BITS=int(kind.removeprefix("rsa:")), PUBLIC_EXPONENT=b"\x01\x00\x01")
            mechanism = Mechanism(CKM_RSA_PAIR, None, 0)
        public, private = template(**public), template(**private)
        handles = ULONG(), ULONG()
        self.call("C_GenerateKeyPair", self.session, ctypes.byref(mechanism), public, ULONG(len(public)),
                  private, ULONG(len(private)), ctypes.byref(handles[0]), ctypes.byref(handles[1]))
        if "no-public" in options:
            self.call("C_DestroyObject", self.session, handles[0])


def main():
    module, token_label, *keys = sys.argv[1:]
    token = Token(module, token_label.encode(), os.environ["PIN"].encode())
    for number, key in enumerate(keys, 1):
        label, _, rest = key.partition("=")
        kind, *options = rest.split(",")
        key_id = bytes([number])
        for option in options:
            if option.startswith("id="):
                key_id = bytes.fromhex(option[3:])
        token.generate(label.encode(), kind, key_id, options)
        printed = "".join(f"%{byte:02x}" for byte in key_id)
        print(f"{label} pkcs11:token={token_label};object={label};id={printed};type=private")
    token.call("C_Finalize", None)


if __name__ == "__main__":
    main()
