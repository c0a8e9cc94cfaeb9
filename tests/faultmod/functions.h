/*
 * Cryptoki 2.40, all of it but C_GetFunctionList: one row a function, FUNCTION(name, parameters,
 * arguments). PLAIN rows are generated (faultmod.c); SHAPED ones have faults of their own
 * (shaped.c).
 */
#ifndef TESTS_FAULTMOD_FUNCTIONS_H
#define TESTS_FAULTMOD_FUNCTIONS_H

#include "pkcs11/cryptoki.h"

/* clang-format off */
#define SHAPED_FUNCTIONS(X) \
	X(C_Initialize, (void *a), (a)) \
	X(C_Finalize, (void *a), (a)) \
	X(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID *l, CK_ULONG *n), (p, l, n)) \
	X(C_GetTokenInfo, (CK_SLOT_ID s, CK_TOKEN_INFO *i), (s, i)) \
	X(C_GetMechanismList, (CK_SLOT_ID s, CK_MECHANISM_TYPE *l, CK_ULONG *n), (s, l, n)) \
	X(C_GetMechanismInfo, (CK_SLOT_ID s, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO *i), (s, m, i)) \
	X(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, CK_SESSION_HANDLE *r), (s, f, a, n, r)) \
	X(C_CloseSession, (CK_SESSION_HANDLE h), (h)) \
	X(C_CloseAllSessions, (CK_SLOT_ID s), (s)) \
	X(C_Login, (CK_SESSION_HANDLE h, CK_USER_TYPE u, CK_BYTE *p, CK_ULONG n), (h, u, p, n)) \
	X(C_GetAttributeValue, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n), (h, o, t, n)) \
	X(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG m, CK_ULONG *n), (h, o, m, n)) \
	X(C_SignInit, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k), (h, m, k)) \
	X(C_Sign, (CK_SESSION_HANDLE h, CK_BYTE *d, CK_ULONG n, CK_BYTE *s, CK_ULONG *l), (h, d, n, s, l))

#define SESSION_ONLY(X, name) X(name, (CK_SESSION_HANDLE h), (h))
#define BYTES_IN(X, name) X(name, (CK_SESSION_HANDLE h, CK_BYTE *d, CK_ULONG n), (h, d, n))
#define BYTES_OUT(X, name) X(name, (CK_SESSION_HANDLE h, CK_BYTE *r, CK_ULONG *l), (h, r, l))
#define BYTES_IN_OUT(X, name) \
	X(name, (CK_SESSION_HANDLE h, CK_BYTE *d, CK_ULONG n, CK_BYTE *r, CK_ULONG *l), (h, d, n, r, l))
#define BYTES_IN_IN(X, name) \
	X(name, (CK_SESSION_HANDLE h, CK_BYTE *d, CK_ULONG n, CK_BYTE *s, CK_ULONG l), (h, d, n, s, l))
#define KEY_INIT(X, name) \
	X(name, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k), (h, m, k))

#define PLAIN_FUNCTIONS(X) \
	X(C_GetInfo, (CK_INFO *i), (i)) \
	X(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i)) \
	X(C_WaitForSlotEvent, (CK_FLAGS f, CK_SLOT_ID *s, void *r), (f, s, r)) \
	X(C_InitToken, (CK_SLOT_ID s, CK_BYTE *p, CK_ULONG n, CK_BYTE *l), (s, p, n, l)) \
	BYTES_IN(X, C_InitPIN) \
	BYTES_IN_IN(X, C_SetPIN) \
	X(C_GetSessionInfo, (CK_SESSION_HANDLE h, CK_SESSION_INFO *i), (h, i)) \
	BYTES_OUT(X, C_GetOperationState) \
	X(C_SetOperationState, (CK_SESSION_HANDLE h, CK_BYTE *s, CK_ULONG n, CK_OBJECT_HANDLE e, CK_OBJECT_HANDLE a), (h, s, n, e, a)) \
	SESSION_ONLY(X, C_Logout) \
	X(C_CreateObject, (CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *r), (h, t, n, r)) \
	X(C_CopyObject, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *r), (h, o, t, n, r)) \
	X(C_DestroyObject, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o), (h, o)) \
	X(C_GetObjectSize, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ULONG *r), (h, o, r)) \
	X(C_SetAttributeValue, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n), (h, o, t, n)) \
	X(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n), (h, t, n)) \
	SESSION_ONLY(X, C_FindObjectsFinal) \
	KEY_INIT(X, C_EncryptInit) \
	BYTES_IN_OUT(X, C_Encrypt) \
	BYTES_IN_OUT(X, C_EncryptUpdate) \
	BYTES_OUT(X, C_EncryptFinal) \
	KEY_INIT(X, C_DecryptInit) \
	BYTES_IN_OUT(X, C_Decrypt) \
	BYTES_IN_OUT(X, C_DecryptUpdate) \
	BYTES_OUT(X, C_DecryptFinal) \
	X(C_DigestInit, (CK_SESSION_HANDLE h, CK_MECHANISM *m), (h, m)) \
	BYTES_IN_OUT(X, C_Digest) \
	BYTES_IN(X, C_DigestUpdate) \
	X(C_DigestKey, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE k), (h, k)) \
	BYTES_OUT(X, C_DigestFinal) \
	BYTES_IN(X, C_SignUpdate) \
	BYTES_OUT(X, C_SignFinal) \
	KEY_INIT(X, C_SignRecoverInit) \
	BYTES_IN_OUT(X, C_SignRecover) \
	KEY_INIT(X, C_VerifyInit) \
	BYTES_IN_IN(X, C_Verify) \
	BYTES_IN(X, C_VerifyUpdate) \
	BYTES_IN(X, C_VerifyFinal) \
	KEY_INIT(X, C_VerifyRecoverInit) \
	BYTES_IN_OUT(X, C_VerifyRecover) \
	BYTES_IN_OUT(X, C_DigestEncryptUpdate) \
	BYTES_IN_OUT(X, C_DecryptDigestUpdate) \
	BYTES_IN_OUT(X, C_SignEncryptUpdate) \
	BYTES_IN_OUT(X, C_DecryptVerifyUpdate) \
	X(C_GenerateKey, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *r), (h, m, t, n, r)) \
	X(C_GenerateKeyPair, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n, CK_ATTRIBUTE *u, CK_ULONG o, CK_OBJECT_HANDLE *p, CK_OBJECT_HANDLE *r), (h, m, t, n, u, o, p, r)) \
	X(C_WrapKey, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE w, CK_OBJECT_HANDLE k, CK_BYTE *r, CK_ULONG *l), (h, m, w, k, r, l)) \
	X(C_UnwrapKey, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE w, CK_BYTE *d, CK_ULONG n, CK_ATTRIBUTE *t, CK_ULONG o, CK_OBJECT_HANDLE *r), (h, m, w, d, n, t, o, r)) \
	X(C_DeriveKey, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *r), (h, m, k, t, n, r)) \
	BYTES_IN(X, C_SeedRandom) \
	BYTES_IN(X, C_GenerateRandom) \
	SESSION_ONLY(X, C_GetFunctionStatus) \
	SESSION_ONLY(X, C_CancelFunction)
/* clang-format on */

#define ALL_FUNCTIONS(X) SHAPED_FUNCTIONS(X) PLAIN_FUNCTIONS(X)

enum function {
#define X(name, parameters, arguments) FN_##name,
	ALL_FUNCTIONS(X)
#undef X
		FN_COUNT
};

/** "C_Sign"; the row of the list. */
extern const char *const function_names[FN_COUNT];

/* All proxies, the generated and the written ones. */
#define X(name, parameters, arguments) CK_RV fault_##name parameters;
ALL_FUNCTIONS(X)
#undef X

#endif
