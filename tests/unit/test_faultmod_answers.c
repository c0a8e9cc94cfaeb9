/* tests/faultmod: what it hides, and how it lies, as its README says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faultmod_world.h"

/* --- what it does not have --- */

static void tokens_and_mechanisms_are_hidden(void **state)
{
	CK_MECHANISM_TYPE list[256];
	CK_MECHANISM_INFO info;
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	CK_ULONG count = 256;
	CK_SESSION_HANDLE session = open_logged_in();

	(void)state;
	script("C_GetSlotList all hide\nC_GetMechanismList all without 0x1\n"
	       "C_GetMechanismInfo all without 0x1\nC_SignInit all without 0x1");
	assert_int_equal(f->C_GetMechanismList(slot, list, &count), CKR_OK);
	for (CK_ULONG i = 0; i < count; i++)
		assert_int_not_equal(list[i], CKM_RSA_PKCS);
	assert_true(count > 10);
	assert_int_equal(f->C_GetMechanismInfo(slot, CKM_RSA_PKCS, &info), CKR_MECHANISM_INVALID);
	assert_int_equal(f->C_GetMechanismInfo(slot, CKM_SHA256_RSA_PKCS, &info), CKR_OK);
	assert_int_equal(f->C_SignInit(session, &mechanism, find(session, CKO_PRIVATE_KEY, "rsa")),
			 CKR_MECHANISM_INVALID);
	assert_int_equal(f->C_GetSlotList(CK_TRUE, NULL, &count), CKR_OK);
	assert_int_equal(count, 0);
	script("C_FindObjects all hide");
	assert_int_equal(find(session, CKO_PRIVATE_KEY, "rsa"), 0);
}

static void attributes_are_hidden(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa");
	unsigned char modulus[256];
	unsigned char exponent[16];
	CK_ATTRIBUTE both[] = { { CKA_MODULUS, modulus, sizeof(modulus) },
				{ CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) } };

	(void)state;
	script("C_GetAttributeValue all without 0x120");
	assert_int_equal(f->C_GetAttributeValue(session, key, both, 2), CKR_ATTRIBUTE_TYPE_INVALID);
	assert_true(both[0].ulValueLen == CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(both[1].ulValueLen, 3);
}

static void ed25519_has_every_encoding(void **state)
{
	static const struct {
		const char *script;
		CK_ATTRIBUTE_TYPE type;
		const char *head;
		size_t head_len;
		size_t len;
	} rows[] = {
		{ "C_GetAttributeValue all point raw", CKA_EC_POINT, "", 0, 32 },
		{ "C_GetAttributeValue all point octets", CKA_EC_POINT, "\x04\x20", 2, 34 },
		{ "C_GetAttributeValue all point bits", CKA_EC_POINT, "\x03\x21\x00", 3, 35 },
		{ "C_GetAttributeValue all params oid", CKA_EC_PARAMS, "\x06\x03\x2b\x65\x70", 5,
		  5 },
		{ "C_GetAttributeValue all params edwards25519", CKA_EC_PARAMS,
		  "\x13\x0c"
		  "edwards25519",
		  14, 14 },
		{ "C_GetAttributeValue all params ed25519", CKA_EC_PARAMS,
		  "\x13\x07"
		  "Ed25519",
		  9, 9 },
	};
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PUBLIC_KEY, "ed");
	unsigned char point[64];
	CK_ATTRIBUTE plain = { CKA_EC_POINT, point, sizeof(point) };

	(void)state;
	assert_int_equal(f->C_GetAttributeValue(session, key, &plain, 1), CKR_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char value[64];
		CK_ATTRIBUTE a = { rows[i].type, NULL, 0 };

		script(rows[i].script);
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_OK);
		assert_int_equal(a.ulValueLen, rows[i].len);
		a.pValue = value;
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_OK);
		assert_int_equal(a.ulValueLen, rows[i].len);
		assert_memory_equal(value, rows[i].head, rows[i].head_len);
		if (rows[i].type == CKA_EC_POINT)
			assert_memory_equal(value + rows[i].head_len, point + plain.ulValueLen - 32,
					    32);
		a.ulValueLen = 4;
		assert_int_equal(f->C_GetAttributeValue(session, key, &a, 1), CKR_BUFFER_TOO_SMALL);
	}
}

/* --- lies --- */

static void signatures_lie(void **state)
{
	static const struct {
		const char *script;
		CK_ULONG len;
		bool other;
	} rows[] = {
		{ "", 128, false },
		{ "C_Sign all lie flip", 128, true },
		{ "C_Sign all lie other", 128, true },
		{ "C_Sign all lie short", 127, false },
		{ "C_Sign all lie long", 129, false },
		{ "C_Sign all lie empty", 0, false },
		{ "C_Sign all lie beyond", 1256, false },
	};
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE key = find(session, CKO_PRIVATE_KEY, "rsa");
	unsigned char honest[256];
	unsigned char signature[256];
	CK_ULONG len;

	(void)state;
	assert_int_equal(sign(session, key, honest, &len), CKR_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		script(rows[i].script);
		assert_int_equal(sign(session, key, signature, &len), CKR_OK);
		assert_int_equal(len, rows[i].len);
		assert_true((memcmp(honest, signature, 127) != 0) == rows[i].other);
	}
}

static void more_is_said_than_was_room_for(void **state)
{
	CK_SESSION_HANDLE session = open_logged_in();
	CK_OBJECT_HANDLE objects[2] = { 0, 0 };
	CK_SLOT_ID slots[8];
	unsigned char id[16];
	CK_ATTRIBUTE a = { CKA_ID, id, sizeof(id) };
	CK_ULONG count = 8;

	(void)state;
	script("C_FindObjects all lie beyond\nC_GetAttributeValue all lie beyond\n"
	       "C_GetSlotList all lie beyond");
	assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
	assert_int_equal(count, 108);
	assert_int_equal(f->C_FindObjectsInit(session, NULL, 0), CKR_OK);
	assert_int_equal(f->C_FindObjects(session, objects, 2, &count), CKR_OK);
	assert_int_equal(count, 1002);
	assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
	assert_int_equal(f->C_GetAttributeValue(session, objects[0], &a, 1), CKR_OK);
	assert_int_equal(a.ulValueLen, 1016);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(tokens_and_mechanisms_are_hidden), CASE(attributes_are_hidden),
		CASE(ed25519_has_every_encoding),	CASE(signatures_lie),
		CASE(more_is_said_than_was_room_for),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
