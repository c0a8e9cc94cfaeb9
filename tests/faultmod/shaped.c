/* The functions whose answers can be bent. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define real (proxy_state.real)

static void count_sessions(long change)
{
	(void)pthread_mutex_lock(&proxy_state.lock);
	proxy_state.sessions += change;
	(void)pthread_mutex_unlock(&proxy_state.lock);
}

static void no_sessions(void)
{
	(void)pthread_mutex_lock(&proxy_state.lock);
	proxy_state.sessions = 0;
	(void)pthread_mutex_unlock(&proxy_state.lock);
}

/* ---- the module ---- */

static bool wants_locks(const CK_C_INITIALIZE_ARGS *args)
{
	return args != NULL &&
	       ((args->flags & CKF_OS_LOCKING_OK) != 0 || args->CreateMutex != NULL);
}

CK_RV fault_C_Initialize(void *a)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_Initialize, &rv)) {
		bool cannot = call_rule(&call, ACT_CANTLOCK) != NULL;

		rv = cannot && wants_locks(a) ? CKR_CANT_LOCK : real->C_Initialize(a);
		(void)pthread_mutex_lock(&proxy_state.lock);
		proxy_state.serial = cannot && rv == CKR_OK;
		(void)pthread_mutex_unlock(&proxy_state.lock);
	}
	return call_end(&call, rv);
}

CK_RV fault_C_Finalize(void *a)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_Finalize, &rv)) {
		rv = real->C_Finalize(a);
		if (rv == CKR_OK)
			no_sessions();
	}
	return call_end(&call, rv);
}

/* ---- slots and tokens ---- */

CK_RV fault_C_GetSlotList(CK_BBOOL p, CK_SLOT_ID *l, CK_ULONG *n)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_GetSlotList, &rv)) {
		CK_ULONG room = *n;

		rv = real->C_GetSlotList(p, l, n);
		if (rv == CKR_OK && call_rule(&call, ACT_HIDE) != NULL)
			*n = 0;
		if (rv == CKR_OK && l != NULL && call_has(&call, ACT_LIE, WORD_BEYOND))
			*n = room + 100;
	}
	return call_end(&call, rv);
}

CK_RV fault_C_GetTokenInfo(CK_SLOT_ID s, CK_TOKEN_INFO *i)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_GetTokenInfo, &rv)) {
		const struct rule *flags = call_rule(&call, ACT_FLAGS);

		rv = real->C_GetTokenInfo(s, i);
		if (rv == CKR_OK && flags != NULL)
			i->flags |= flags->value;
	}
	return call_end(&call, rv);
}

CK_RV fault_C_GetMechanismList(CK_SLOT_ID s, CK_MECHANISM_TYPE *l, CK_ULONG *n)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_GetMechanismList, &rv)) {
		rv = real->C_GetMechanismList(s, l, n);
		if (rv == CKR_OK && l != NULL) {
			CK_ULONG kept = 0;

			for (CK_ULONG i = 0; i < *n; i++)
				if (!call_has(&call, ACT_WITHOUT, l[i]))
					l[kept++] = l[i];
			*n = kept;
		}
	}
	return call_end(&call, rv);
}

CK_RV fault_C_GetMechanismInfo(CK_SLOT_ID s, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO *i)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_GetMechanismInfo, &rv))
		rv = call_has(&call, ACT_WITHOUT, m) ? CKR_MECHANISM_INVALID
						     : real->C_GetMechanismInfo(s, m, i);
	return call_end(&call, rv);
}

/* ---- sessions and login ---- */

/* @return false: the limit is reached; else one more is counted */
static bool take_session(CK_SLOT_ID slot, const struct rule *limit)
{
	bool taken;

	(void)pthread_mutex_lock(&proxy_state.lock);
	proxy_state.slot = slot;
	taken = limit == NULL || proxy_state.sessions < (long)limit->value;
	if (taken)
		proxy_state.sessions++;
	(void)pthread_mutex_unlock(&proxy_state.lock);
	return taken;
}

CK_RV fault_C_OpenSession(CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, CK_SESSION_HANDLE *r)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_OpenSession, &rv)) {
		rv = CKR_SESSION_COUNT;
		if (take_session(s, call_rule(&call, ACT_LIMIT))) {
			rv = real->C_OpenSession(s, f, a, n, r);
			if (rv != CKR_OK)
				count_sessions(-1);
		}
	}
	return call_end(&call, rv);
}

CK_RV fault_C_CloseSession(CK_SESSION_HANDLE h)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_CloseSession, &rv)) {
		rv = real->C_CloseSession(h);
		if (rv == CKR_OK)
			count_sessions(-1);
	}
	return call_end(&call, rv);
}

CK_RV fault_C_CloseAllSessions(CK_SLOT_ID s)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_CloseAllSessions, &rv)) {
		rv = real->C_CloseAllSessions(s);
		if (rv == CKR_OK)
			no_sessions();
	}
	return call_end(&call, rv);
}

/* To tell PINs apart, not to keep one: 32 bits of a salted FNV-1a. */
static unsigned fingerprint(const CK_BYTE *pin, CK_ULONG len)
{
	uint64_t hash = 0xcbf29ce484222325U ^ 0x5a175a17U;

	for (CK_ULONG i = 0; pin != NULL && i < len; i++)
		hash = (hash ^ pin[i]) * 0x100000001b3U;
	return (unsigned)(hash >> 32);
}

CK_RV fault_C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE u, CK_BYTE *p, CK_ULONG n)
{
	struct call call;
	CK_RV rv;
	unsigned number;

	(void)pthread_mutex_lock(&proxy_state.lock);
	number = ++proxy_state.logins;
	(void)pthread_mutex_unlock(&proxy_state.lock);
	if (call_begin(&call, FN_C_Login, &rv))
		rv = real->C_Login(h, u, p, n);
	(void)snprintf(call.note, sizeof(call.note), " user=%lu pin=%08x login=%u",
		       (unsigned long)u, fingerprint(p, n), number);
	return call_end(&call, rv);
}

/* ---- objects ---- */

static const CK_BYTE point_raw[] = { 0 };
static const CK_BYTE point_octets[] = { 0x04, 0x20 };
static const CK_BYTE point_bits[] = { 0x03, 0x21, 0x00 };
static const CK_BYTE params_oid[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const CK_BYTE params_edwards25519[] = "\x13\x0c"
					     "edwards25519";
static const CK_BYTE params_ed25519[] = "\x13\x07"
					"Ed25519";

/* Put bytes in the place of an attribute's value, as a token would that had them. */
static CK_RV put_value(CK_ATTRIBUTE *a, CK_ULONG room, const CK_BYTE *head, size_t head_len,
		       const CK_BYTE *tail, size_t tail_len)
{
	a->ulValueLen = head_len + tail_len;
	if (a->pValue == NULL)
		return CKR_OK;
	if (room < a->ulValueLen) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	memcpy(a->pValue, head, head_len);
	if (tail_len > 0)
		memcpy((CK_BYTE *)a->pValue + head_len, tail, tail_len);
	return CKR_OK;
}

static CK_RV bend_point(CK_ATTRIBUTE *a, CK_ULONG room, enum word form, const CK_BYTE point[32])
{
	if (form == WORD_RAW)
		return put_value(a, room, point_raw, 0, point, 32);
	if (form == WORD_OCTETS)
		return put_value(a, room, point_octets, sizeof(point_octets), point, 32);
	return put_value(a, room, point_bits, sizeof(point_bits), point, 32);
}

static CK_RV bend_params(CK_ATTRIBUTE *a, CK_ULONG room, enum word form)
{
	if (form == WORD_OID)
		return put_value(a, room, params_oid, sizeof(params_oid), NULL, 0);
	if (form == WORD_EDWARDS25519)
		return put_value(a, room, params_edwards25519, sizeof(params_edwards25519) - 1,
				 NULL, 0);
	return put_value(a, room, params_ed25519, sizeof(params_ed25519) - 1, NULL, 0);
}

/* The 32 bytes of an Ed25519 point, in whatever form the real module has it. */
static bool read_point(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_BYTE point[32])
{
	CK_BYTE value[64];
	CK_ATTRIBUTE a = { CKA_EC_POINT, value, sizeof(value) };

	if (real->C_GetAttributeValue(h, o, &a, 1) != CKR_OK || a.ulValueLen < 32 ||
	    a.ulValueLen > sizeof(value))
		return false;
	memcpy(point, value + a.ulValueLen - 32, 32);
	return true;
}

static CK_RV get_attribute(const struct call *call, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o,
			   CK_ATTRIBUTE *a)
{
	const struct rule *point = call_rule(call, ACT_POINT);
	const struct rule *params = call_rule(call, ACT_PARAMS);
	CK_ULONG room = a->ulValueLen;
	CK_BYTE bytes[32];
	CK_RV rv;

	if (call_has(call, ACT_WITHOUT, a->type)) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	if (a->type == CKA_EC_POINT && point != NULL && read_point(h, o, bytes))
		return bend_point(a, room, (enum word)point->value, bytes);
	if (a->type == CKA_EC_PARAMS && params != NULL && read_point(h, o, bytes))
		return bend_params(a, room, (enum word)params->value);
	rv = real->C_GetAttributeValue(h, o, a, 1);
	if (rv == CKR_OK && a->pValue != NULL && call_has(call, ACT_LIE, WORD_BEYOND))
		a->ulValueLen = room + 1000;
	if (rv == CKR_OK && call_has(call, ACT_LIE, WORD_EMPTY))
		a->ulValueLen = 0;
	return rv;
}

CK_RV fault_C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t,
				CK_ULONG n)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_GetAttributeValue, &rv)) {
		bool bent = call_rule(&call, ACT_WITHOUT) != NULL ||
			    call_rule(&call, ACT_POINT) != NULL ||
			    call_rule(&call, ACT_PARAMS) != NULL ||
			    call_rule(&call, ACT_LIE) != NULL;

		rv = bent ? CKR_OK : real->C_GetAttributeValue(h, o, t, n);
		for (CK_ULONG i = 0; bent && i < n; i++) {
			CK_RV one = get_attribute(&call, h, o, &t[i]);

			if (rv == CKR_OK)
				rv = one;
		}
	}
	return call_end(&call, rv);
}

CK_RV fault_C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG m, CK_ULONG *n)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_FindObjects, &rv)) {
		rv = real->C_FindObjects(h, o, m, n);
		if (rv == CKR_OK && call_rule(&call, ACT_HIDE) != NULL)
			*n = 0;
		if (rv == CKR_OK && call_has(&call, ACT_LIE, WORD_BEYOND))
			*n = m + 1000;
	}
	return call_end(&call, rv);
}

/* ---- signing ---- */

CK_RV fault_C_SignInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_SignInit, &rv))
		rv = call_has(&call, ACT_WITHOUT, m->mechanism) ? CKR_MECHANISM_INVALID
								: real->C_SignInit(h, m, k);
	return call_end(&call, rv);
}

/* @param room how long the caller's buffer is */
static void bend_signature(enum word how, CK_BYTE *signature, CK_ULONG *len, CK_ULONG room)
{
	switch (how) {
	case WORD_FLIP:
		signature[*len / 2] ^= 1;
		break;
	case WORD_SHORT:
		(*len)--;
		break;
	case WORD_LONG:
		if (*len < room)
			signature[(*len)++] = 0;
		break;
	case WORD_EMPTY:
		*len = 0;
		break;
	case WORD_BEYOND:
		*len = room + 1000;
		break;
	case WORD_OTHER: /* of another digest: done before */
	case WORD_RAW:
	case WORD_OCTETS:
	case WORD_BITS:
	case WORD_OID:
	case WORD_EDWARDS25519:
	case WORD_ED25519:
		break;
	}
}

/* A right signature of something else: the last byte differs. */
static CK_RV sign_other(CK_SESSION_HANDLE h, const CK_BYTE *d, CK_ULONG n, CK_BYTE *s, CK_ULONG *l)
{
	CK_BYTE *other = malloc(n);
	CK_RV rv;

	if (n == 0 || other == NULL) {
		free(other);
		return CKR_HOST_MEMORY;
	}
	memcpy(other, d, n);
	other[n - 1] ^= 1;
	rv = real->C_Sign(h, other, n, s, l);
	free(other);
	return rv;
}

CK_RV fault_C_Sign(CK_SESSION_HANDLE h, CK_BYTE *d, CK_ULONG n, CK_BYTE *s, CK_ULONG *l)
{
	struct call call;
	CK_RV rv;

	if (call_begin(&call, FN_C_Sign, &rv)) {
		const struct rule *lie = call_rule(&call, ACT_LIE);
		CK_ULONG room = *l;

		rv = lie != NULL && lie->value == WORD_OTHER ? sign_other(h, d, n, s, l)
							     : real->C_Sign(h, d, n, s, l);
		if (rv == CKR_OK && lie != NULL && s != NULL)
			bend_signature((enum word)lie->value, s, l, room);
	}
	return call_end(&call, rv);
}
