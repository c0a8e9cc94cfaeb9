/* dkim/hdrselect: SignHeaders, OmitHeaders and OversignHeaders as OpenDKIM reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dkim/hdrselect.h"

#define DEFAULT_REST                                                                               \
	"Reply-To:Subject:Date:To:Cc:Resent-Date:Resent-From:Resent-Sender:Resent-To:Resent-Cc:"   \
	"In-Reply-To:References:List-Id:List-Help:List-Unsubscribe:List-Subscribe:List-Post:"      \
	"List-Owner:List-Archive"

static void lists_are_read_as_written(void **state)
{
	static const struct {
		const char *sign, *omit, *oversign, *want;
	} t[] = {
		{ NULL, NULL, NULL, "From:" DEFAULT_REST " oversigned From" },
		{ NULL, NULL, "", "From:" DEFAULT_REST },
		{ NULL, NULL, ".", "From:" DEFAULT_REST },
		{ NULL, NULL, "-", "From:" DEFAULT_REST },
		{ "*", NULL, "", "From:" DEFAULT_REST },
		{ "", NULL, "", "From" },
		{ "Subject", NULL, "", "From:Subject" },
		{ " Subject ,\tTo,,subject,FROM, ", NULL, "", "Subject:To:FROM" },
		{ "*,+X-A,+x-a,+subject", NULL, "", "From:" DEFAULT_REST ":X-A" },
		{ "*,X-A", NULL, "", "From:" DEFAULT_REST ":X-A" },
		{ "+X-A , *", NULL, "", "From:" DEFAULT_REST ":X-A" },
		{ "*,-reply-to,-Subject,-Date,-Not-There,-In-Reply-To,-From", NULL, "",
		  "From:To:Cc:Resent-Date:Resent-From:Resent-Sender:Resent-To:Resent-Cc:References:"
		  "List-Id:List-Help:List-Unsubscribe:List-Subscribe:List-Post:List-Owner:"
		  "List-Archive" },
		{ "Subject,To,Received,Comments", NULL, "", "From:Subject:To" },
		{ "Subject,To,Received,Comments", "*,-Received,+To", "", "From:Subject:Received" },
		{ "Subject,To,Received,Comments", ".", "", "From:Subject:To:Received:Comments" },
		{ "Subject,To,Received,Comments", "-", "", "From:Subject:To:Received:Comments" },
		{ "Subject,To", "From,To", "", "From:Subject" },
		{ "Subject", NULL, "To,From,Reply-To",
		  "From:Subject:To:Reply-To oversigned "
		  "To:From:Reply-To" },
		{ "Subject", NULL, "*,+To", "From:Subject:To oversigned From:To" },
		{ "List-*,X-?", NULL, "", "From:List-*:X-?" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct dkim_hdrselect *s = NULL;
		char *text;

		assert_int_equal(dkim_hdrselect_new(t[i].sign, t[i].omit, t[i].oversign, &s, NULL),
				 ERR_OK);
		text = dkim_hdrselect_text(s);
		assert_non_null(text);
		assert_string_equal(text, t[i].want);
		free(text);
		dkim_hdrselect_free(&s);
		assert_null(s);
	}
}

static void names_and_patterns_decide(void **state)
{
	static const struct {
		const char *name;
		bool want;
	} t[] = {
		{ "From", true },	{ "fROM", true },     { "Subject", false },
		{ "List-Id", true },	{ "list-", true },    { "List", false },
		{ "List-Post", false }, { "X-ab-c-z", true }, { "X-a-z", true },
		{ "X-a-zz", true },	{ "X-a-zy", false },  { "X-az", false },
		{ "Omit-Both", false }, { "Over", true },     { "", false },
		{ "List-\xe4", false }, { "List-;", false },  { "List-a b", false },
	};
	struct dkim_hdrselect *s = NULL;

	(void)state;
	assert_int_equal(dkim_hdrselect_new("List-*,X-a*-*z,Omit-Both,Over", "*-Post,omit-*,over",
					    "OVER", &s, NULL),
			 ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(dkim_hdrselect_signs(s, slice_str(t[i].name)), t[i].want);
	dkim_hdrselect_free(&s);
}

static void bad_lists_are_refused_with_setting_and_name(void **state)
{
	static const struct {
		const char *sign, *omit, *oversign, *text;
	} t[] = {
		{ "Sub ject", NULL, NULL, "SignHeaders: \"Sub ject\" is not a header field name" },
		{ "Subject:", NULL, NULL, "SignHeaders: \"Subject:\" is not" },
		{ "a;b", NULL, NULL, "SignHeaders: \"a;b\" is not" },
		{ "T\xc3\xb6", NULL, NULL, "SignHeaders: \"T\xc3\xb6\" is not" },
		{ "*,+", NULL, NULL, "SignHeaders: \"\" is not" },
		{ "+X", NULL, NULL, "SignHeaders: \"+\" needs \"*\"" },
		{ NULL, "-Bcc", NULL, "OmitHeaders: \"-\" needs \"*\"" },
		{ NULL, "a b", NULL, "OmitHeaders: \"a b\" is not" },
		{ NULL, NULL, "List-*", "OversignHeaders: \"List-*\" is a pattern" },
		{ NULL, NULL, "From,dkim-signature", "OversignHeaders: \"dkim-signature\" cannot" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct dkim_hdrselect *s = NULL;
		struct err_detail d = { "" };

		assert_int_equal(dkim_hdrselect_new(t[i].sign, t[i].omit, t[i].oversign, &s, &d),
				 ERR_SYNTAX);
		assert_null(s);
		assert_true(slice_starts(slice_str(d.text), slice_str(t[i].text)));
	}
}

static void a_list_holds_256_names(void **state)
{
	static char list[(LIMIT_H_NAMES + 1) * 8];
	struct dkim_hdrselect *s = NULL;
	struct err_detail d = { "" };

	(void)state;
	for (unsigned i = 0; i < LIMIT_H_NAMES; i++)
		(void)snprintf(list + strlen(list), 8, "X-%u,", i);
	assert_int_equal(dkim_hdrselect_new(list, NULL, NULL, &s, &d), ERR_OK);
	assert_true(dkim_hdrselect_signs(s, SLICE_LIT("x-255")));
	assert_false(dkim_hdrselect_signs(s, SLICE_LIT("x-256")));
	dkim_hdrselect_free(&s);
	(void)snprintf(list + strlen(list), 8, "X-256");
	assert_int_equal(dkim_hdrselect_new(list, NULL, NULL, &s, &d), ERR_LIMIT);
	assert_string_equal(d.text, "SignHeaders: more than 256 names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_read_as_written),
		cmocka_unit_test(names_and_patterns_decide),
		cmocka_unit_test(bad_lists_are_refused_with_setting_and_name),
		cmocka_unit_test(a_list_holds_256_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
