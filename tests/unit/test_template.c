/* pkcs11/template and quirk: what a token is asked for when a key is made, and what it is not told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pkcs11/quirk.h"
#include "pkcs11/template.h"

/* --- a module that only says who made it -------------------------------------------------------
 */

static const char *manufacturer;
static CK_RV info_answer;

static CK_RV get_info(CK_INFO *info)
{
	memset(info, 0, sizeof(*info));
	memset(info->manufacturerID, ' ', sizeof(info->manufacturerID));
	memcpy(info->manufacturerID, manufacturer, strlen(manufacturer));
	return info_answer;
}

static CK_FUNCTION_LIST *module_of(const char *name, CK_RV answer)
{
	static CK_FUNCTION_LIST list = { .C_GetInfo = get_info };

	manufacturer = name;
	info_answer = answer;
	return &list;
}

static void a_module_is_known_by_its_manufacturer(void **state)
{
	const struct quirk *q = quirk_of(module_of("tpm2-software.github.io", CKR_OK));

	(void)state;
	assert_true(q->bare_templates);
	assert_true(q->hashes_first);
	assert_int_equal(template_first(module_of("tpm2-software.github.io", CKR_OK)),
			 TEMPLATE_BARE);
}

static void all_others_have_no_quirks(void **state)
{
	static const char *const names[] = { "", "SoftHSM", "tpm2-software.github.io2",
					     "tpm2-software", "an id that fills all thirty-two." };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct quirk *q = quirk_of(module_of(names[i], CKR_OK));

		assert_false(q->bare_templates);
		assert_false(q->hashes_first);
		assert_int_equal(template_first(module_of(names[i], CKR_OK)), TEMPLATE_ALL);
	}
	assert_false(
		quirk_of(module_of("tpm2-software.github.io", CKR_DEVICE_ERROR))->bare_templates);
}

/* --- templates ---------------------------------------------------------------------------------
 */

static const struct newkey rsa = { .type = KEY_TYPE_RSA,
				   .bits = 2048,
				   .label = SLICE_INIT("s1._domainkey.example.com"),
				   .id = SLICE_INIT("0123456789abcdef") };
static const struct newkey ed25519 = { .type = KEY_TYPE_ED25519,
				       .label = SLICE_INIT("label"),
				       .id = SLICE_INIT("id") };

static const CK_ATTRIBUTE *find(const struct template *t, CK_ATTRIBUTE_TYPE type)
{
	const CK_ATTRIBUTE *found = NULL;

	for (CK_ULONG i = 0; i < t->count; i++) {
		if (t->list[i].type != type)
			continue;
		assert_null(found); /* Cryptoki knows no attribute twice */
		found = &t->list[i];
	}
	return found;
}

static void assert_ulong(const struct template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
	const CK_ATTRIBUTE *a = find(t, type);

	assert_non_null(a);
	assert_int_equal(a->ulValueLen, sizeof(value));
	assert_memory_equal(a->pValue, &value, sizeof(value));
}

static void assert_flag(const struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
	const CK_ATTRIBUTE *a = find(t, type);

	assert_non_null(a);
	assert_int_equal(a->ulValueLen, sizeof(CK_BBOOL));
	assert_int_equal(*(const CK_BBOOL *)a->pValue, value ? CK_TRUE : CK_FALSE);
}

static void assert_names(const struct template *t, const struct newkey *want)
{
	const CK_ATTRIBUTE *label = find(t, CKA_LABEL);
	const CK_ATTRIBUTE *id = find(t, CKA_ID);

	assert_true(slice_eq(slice_of(label->pValue, label->ulValueLen), want->label));
	assert_true(slice_eq(slice_of(id->pValue, id->ulValueLen), want->id));
	assert_ulong(t, CKA_KEY_TYPE, want->type == KEY_TYPE_RSA ? CKK_RSA : CKK_EC_EDWARDS);
}

/* Whatever is left out for a token's sake: the key does not leave it and only signs. */
static void every_private_half_stays_on_the_token_and_only_signs(void **state)
{
	static const struct newkey *const keys[] = { &rsa, &ed25519 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		for (int how = TEMPLATE_ALL; how <= TEMPLATE_BARE; how++) {
			struct template t;

			template_private(&t, keys[i], (enum template_detail)how);
			assert_ulong(&t, CKA_CLASS, CKO_PRIVATE_KEY);
			assert_names(&t, keys[i]);
			assert_flag(&t, CKA_TOKEN, true);
			assert_flag(&t, CKA_PRIVATE, true);
			assert_flag(&t, CKA_SENSITIVE, true);
			assert_flag(&t, CKA_EXTRACTABLE, false);
			assert_flag(&t, CKA_SIGN, true);
			assert_flag(&t, CKA_DECRYPT, false);
			assert_flag(&t, CKA_UNWRAP, false);
			assert_flag(&t, CKA_DERIVE, false);
			assert_true((find(&t, CKA_WRAP_WITH_TRUSTED) != NULL) ==
				    (how == TEMPLATE_ALL));
			assert_true((find(&t, CKA_MODIFIABLE) != NULL) == (how == TEMPLATE_ALL));
			assert_true((find(&t, CKA_ALWAYS_AUTHENTICATE) != NULL) ==
				    (how == TEMPLATE_ALL));
			assert_true((find(&t, CKA_SIGN_RECOVER) != NULL) == (how == TEMPLATE_ALL));
		}
	}
}

static void a_public_half_can_be_read_by_all_and_only_verifies(void **state)
{
	(void)state;
	for (int how = TEMPLATE_ALL; how <= TEMPLATE_BARE; how++) {
		struct template t;

		template_public(&t, &rsa, (enum template_detail)how);
		assert_ulong(&t, CKA_CLASS, CKO_PUBLIC_KEY);
		assert_names(&t, &rsa);
		assert_flag(&t, CKA_TOKEN, true);
		assert_flag(&t, CKA_PRIVATE, false);
		if (how == TEMPLATE_BARE) {
			assert_null(find(&t, CKA_VERIFY));
			assert_null(find(&t, CKA_ENCRYPT));
			continue;
		}
		assert_flag(&t, CKA_VERIFY, true);
		assert_flag(&t, CKA_ENCRYPT, false);
		assert_flag(&t, CKA_VERIFY_RECOVER, false);
		assert_flag(&t, CKA_WRAP, false);
	}
}

static void a_token_that_refuses_attributes_is_told_less(void **state)
{
	static const CK_RV refusals[] = { CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
					  CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_READ_ONLY };
	static const CK_RV others[] = { CKR_OK, CKR_DEVICE_ERROR, CKR_GENERAL_ERROR,
					CKR_DEVICE_MEMORY, CKR_TEMPLATE_INCOMPLETE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		enum template_detail how = TEMPLATE_ALL;

		assert_true(template_ask_less(refusals[i], &how));
		assert_int_equal(how, TEMPLATE_NEEDED);
		assert_true(template_ask_less(refusals[i], &how));
		assert_int_equal(how, TEMPLATE_BARE);
		assert_false(template_ask_less(refusals[i], &how)); /* nothing less to ask for */
		assert_int_equal(how, TEMPLATE_BARE);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		enum template_detail how = TEMPLATE_ALL;

		assert_false(template_ask_less(others[i], &how));
		assert_int_equal(how, TEMPLATE_ALL);
	}
}

/* RFC 8410: 1.3.101.112; PKCS#11 3.0: PrintableString "edwards25519". */
static void ed25519_parameters_have_two_forms(void **state)
{
	static const unsigned char forms[TEMPLATE_ED25519_FORMS][16] = {
		{ 0x06, 0x03, 0x2b, 0x65, 0x70 },
		{ 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9' },
	};
	static const size_t sizes[TEMPLATE_ED25519_FORMS] = { 5, 14 };

	(void)state;
	for (unsigned i = 0; i < TEMPLATE_ED25519_FORMS; i++) {
		struct template t = { .count = 0 };

		template_add_ed25519_params(&t, i);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.list[0].type, CKA_EC_PARAMS);
		assert_int_equal(t.list[0].ulValueLen, sizes[i]);
		assert_memory_equal(t.list[0].pValue, forms[i], sizes[i]);
	}
}

static void a_full_template_takes_no_more(void **state)
{
	static const CK_BBOOL yes = CK_TRUE;
	struct template t = { .count = 0 };

	(void)state;
	for (unsigned i = 0; i < TEMPLATE_MAX + 5; i++)
		template_add(&t, CKA_TOKEN, &yes, sizeof(yes));
	assert_int_equal(t.count, TEMPLATE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_is_known_by_its_manufacturer),
		cmocka_unit_test(all_others_have_no_quirks),
		cmocka_unit_test(every_private_half_stays_on_the_token_and_only_signs),
		cmocka_unit_test(a_public_half_can_be_read_by_all_and_only_verifies),
		cmocka_unit_test(a_token_that_refuses_attributes_is_told_less),
		cmocka_unit_test(ed25519_parameters_have_two_forms),
		cmocka_unit_test(a_full_template_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
