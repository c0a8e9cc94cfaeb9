/* config/userid: what a setting may name; tools/actas: the tools take it as the daemon does. */
#include "settings_fixture.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "config/userid.h"
#include "tools/actas.h"

static void numbers_without_an_entry_are_taken_up_to_the_last_that_is_one(void **state)
{
	struct userid user;

	(void)state;
	assert_int_equal(userid_find("UserID", "4294967294", &user, NULL), ERR_OK);
	assert_true(user.set);
	assert_int_equal(user.uid, 4294967294U);
	assert_int_equal(user.gid, 4294967294U);
	assert_string_equal(user.name, "");
	assert_int_equal(userid_find("UserID", "4294967294:4294967293", &user, NULL), ERR_OK);
	assert_int_equal(user.gid, 4294967293U);
}

static const char *const nobodies[] = { "4294967295",
					"4294967296",
					"18446744073709551616",
					"-1",
					"",
					":0",
					"root:",
					"0:4294967295",
					"0:4294967296",
					"no such user",
					"0:no such one",
					"root:-1" };

static void nobody_is_an_error_and_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nobodies) / sizeof(nobodies[0]); i++) {
		struct userid user = { .uid = 7 };
		struct err_detail detail = { "" };

		assert_int_equal(userid_find("UserID", nobodies[i], &user, &detail), ERR_CONFIG);
		assert_int_equal(user.uid, 7);
		assert_ptr_equal(strstr(detail.text, "UserID: no "), detail.text);
	}
}

static void names_and_numbers_with_an_entry_have_its_groups(void **state)
{
	static const char *const root[] = { "root", "0", "0:0", "root:root", "root:0" };

	(void)state;
	for (size_t i = 0; i < sizeof(root) / sizeof(root[0]); i++) {
		struct userid user = { .uid = 7, .gid = 7 };

		assert_int_equal(userid_find("UserID", root[i], &user, NULL), ERR_OK);
		assert_int_equal(user.uid, 0);
		assert_int_equal(user.gid, 0);
		assert_string_equal(user.name, "root");
	}
}

static enum err find(const char *setting, const char *value, struct actas *ret_as)
{
	struct settings_fixture f;
	char text[100];
	enum err e;

	fixture_init(&f);
	(void)snprintf(text, sizeof(text), "Mode v\n%s %s\n", setting, value);
	assert_int_equal(load(&f, slice_str(text), NULL), ERR_OK);
	e = actas_find(f.s, ret_as, NULL);
	ret_as->spec = NULL; /* the settings' */
	fixture_done(&f);
	return e;
}

static void tools_act_as_whom_the_daemon_becomes(void **state)
{
	const struct passwd *entry = getpwnam("daemon");
	gid_t gid = entry != NULL ? entry->pw_gid : 0;
	char number[24];
	struct actas as;

	(void)state;
	if (geteuid() != 0 || entry == NULL) {
		skip();
		return;
	}
	(void)snprintf(number, sizeof(number), "%u", entry->pw_uid);
	assert_int_equal(find("UserID", number, &as), ERR_OK);
	assert_true(as.user.set);
	assert_int_equal(as.user.gid, gid);
	assert_string_equal(as.user.name, "daemon");
	assert_int_equal(find("SignerUserID", "4294967294", &as), ERR_OK);
	assert_int_equal(as.user.uid, 4294967294U);
	assert_int_equal(find("SignerUserID", "4294967295", &as), ERR_CONFIG);
	assert_int_equal(find("UserID", "4294967296", &as), ERR_CONFIG);
	assert_false(as.user.set);
	assert_int_equal(find("UserID", "0", &as), ERR_OK);
	assert_false(as.user.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_without_an_entry_are_taken_up_to_the_last_that_is_one),
		cmocka_unit_test(nobody_is_an_error_and_changes_nothing),
		cmocka_unit_test(names_and_numbers_with_an_entry_have_its_groups),
		cmocka_unit_test(tools_act_as_whom_the_daemon_becomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
