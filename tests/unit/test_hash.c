/* base/hash: case, length, spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/hash.h"

static void case_counts_or_not(void **state)
{
	(void)state;
	assert_true(hash_icase(SLICE_LIT("Message-ID")) == hash_icase(SLICE_LIT("mESSAGE-id")));
	assert_true(hash_bytes(SLICE_LIT("Message-ID")) != hash_bytes(SLICE_LIT("mESSAGE-id")));
	assert_true(hash_bytes(SLICE_LIT("lower")) == hash_icase(SLICE_LIT("LOWER")));
	assert_true(hash_icase(SLICE_LIT("[")) != hash_icase(SLICE_LIT("{")));
	assert_true(hash_icase(SLICE_LIT("\xc4")) != hash_icase(SLICE_LIT("\xe4")));
}

/* Zeros at the end, and every length around the words of eight bytes. */
static void length_counts(void **state)
{
	static const char zeros[40];

	(void)state;
	for (size_t a = 0; a < sizeof(zeros); a++)
		for (size_t b = 0; b < a; b++)
			assert_true(hash_bytes(slice_of(zeros, a)) !=
				    hash_bytes(slice_of(zeros, b)));
}

static void names_that_differ_little_spread_over_all_buckets(void **state)
{
	unsigned buckets[256] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 256 * 64; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "X-Header-%u", i);
		buckets[hash_icase(slice_str(name)) % 256]++;
	}
	/* 64 each; 8 standard deviations of a fair hash are 64 */
	for (unsigned i = 0; i < 256; i++)
		assert_in_range(buckets[i], 1, 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_counts_or_not),
		cmocka_unit_test(length_counts),
		cmocka_unit_test(names_that_differ_little_spread_over_all_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
