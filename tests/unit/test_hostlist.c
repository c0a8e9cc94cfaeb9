/* keytable/hostlist: names, suffixes, addresses, blocks, '!'. */
#include "tests/unit/tables.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "keytable/hostlist.h"

struct client {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
};

static const struct sockaddr *address(const char *text, struct client *c)
{
	memset(c, 0, sizeof(*c));
	if (text == NULL)
		return NULL;
	if (inet_pton(AF_INET, text, &c->u.in.sin_addr) == 1) {
		c->u.in.sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &c->u.in6.sin6_addr), 1);
		c->u.in6.sin6_family = AF_INET6;
	}
	return &c->u.sa;
}

struct match_case {
	const char *list;
	const char *host;
	const char *addr; /* NULL: none */
	bool want;
	const char *rule;
};

static void check_cases(const char *prefix, const struct match_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(hostlist_free) struct hostlist *list = NULL;
		struct err_detail detail = { "" };
		struct slice rule = SLICE_LIT("?");
		struct client client;
		const char *spec = prefix != NULL ? table(prefix, cases[i].list) : cases[i].list;

		if (hostlist_open("PeerList", spec, files, &list, &detail) != ERR_OK)
			fail_msg("case %zu: %s", i, detail.text);
		if (hostlist_match(list, slice_str(cases[i].host), address(cases[i].addr, &client),
				   &rule) != cases[i].want ||
		    !slice_eq(rule, slice_str(cases[i].rule)))
			fail_msg("case %zu: '%s' decided, not '%s'", i,
				 slice_empty(rule) ? "nothing" : slice_dup(rule), cases[i].rule);
	}
}

static void lists_decide_in_opendkims_order(void **state)
{
	static const struct match_case cases[] = {
		{ "127.0.0.1,csl", "localhost", "127.0.0.1", true, "127.0.0.1" },
		{ "a.example", "A.Example", "10.0.0.1", true, "a.example" },
		{ "a.example", "a.example.", "10.0.0.1", true, "a.example" },
		{ "a.example", "b.a.example", "10.0.0.1", false, "" },
		{ ".example", "a.example", "10.0.0.1", true, ".example" },
		{ ".example", "example", "10.0.0.1", false, "" },
		{ ".b.example,!.example", "a.b.example", "10.0.0.1", true, ".b.example" },
		{ ".example,!.b.example", "a.b.example", "10.0.0.1", false, "!.b.example" },
		{ "a.example,!a.example", "a.example", "10.0.0.1", false, "!a.example" },
		{ "10.0.0.0/8,!bad.example", "bad.example", "10.0.0.1", false, "!bad.example" },
		{ "10.0.0.0/8", "x", "10.255.1.2", true, "10.0.0.0/8" },
		{ "10.0.0.0/8", "x", "11.0.0.1", false, "" },
		{ "10.0.0.0/8,!10.1.0.0/16,10.1.2.0/24", "x", "10.1.3.1", false, "!10.1.0.0/16" },
		{ "10.0.0.0/8,!10.1.0.0/16,10.1.2.0/24", "x", "10.1.2.1", true, "10.1.2.0/24" },
		{ "!10.0.0.1,10.0.0.1/32", "x", "10.0.0.1", false, "!10.0.0.1" },
		{ "10.0.0.1,!10.0.0.1/32", "x", "10.0.0.1", true, "10.0.0.1" },
		{ "10.0.0.1,!10.0.0.1", "x", "10.0.0.1", false, "!10.0.0.1" },
		{ "0.0.0.0/0", "x", "203.0.113.9", true, "0.0.0.0/0" },
		{ "[10.0.0.1]", "x", "10.0.0.1", true, "[10.0.0.1]" },
		{ "[10.0.0.0]/8", "[10.0.0.1]", "10.0.0.1", true, "[10.0.0.0]/8" },
		{ "csl:::1", "x", "::1", true, "::1" },
		{ "csl:2001:db8::/32,!2001:db8:0:1::/64", "x", "2001:db8::1", true,
		  "2001:db8::/32" },
		{ "csl:2001:db8::/32,!2001:db8:0:1::/64", "x", "2001:db8:0:1::5", false,
		  "!2001:db8:0:1::/64" },
		{ "csl:2001:DB8::1", "x", "2001:db8::1", true, "2001:DB8::1" },
		{ "csl:2001:db8:0:0::1", "x", "2001:db8::1", true, "2001:db8:0:0::1" },
		{ "10.0.0.0/8", "x", "::ffff:10.0.0.1", true, "10.0.0.0/8" },
		{ "csl:::ffff:10.0.0.1", "x", "10.0.0.1", true, "::ffff:10.0.0.1" },
		{ "csl:::/0", "x", "10.0.0.1", false, "" },
		{ "csl:::/0", "x", "2001:db8::1", true, "::/0" },
		{ "0.0.0.0/0", "x", "2001:db8::1", false, "" },
		{ "localhost", "localhost", NULL, true, "localhost" },
		{ "10.0.0.1", "x", NULL, false, "" },
		{ "10.0.0.1", "", "10.0.0.1", true, "10.0.0.1" },
		{ ".", ".", "10.0.0.1", false, "" },
		{ "", "a.example", "10.0.0.1", false, "" },
	};

	(void)state;
	check_cases(NULL, cases, ARRAY_LEN(cases));
}

static void files_and_patterns_do_the_same(void **state)
{
	static const struct match_case files[] = {
		{ "127.0.0.1\nlocalhost # me\n.example.com\r\n10.0.0.0/8\n", "m.example.com",
		  "192.0.2.1", true, ".example.com" },
		{ "127.0.0.1\nlocalhost # me\n.example.com\r\n10.0.0.0/8\n", "x", "10.9.9.9", true,
		  "10.0.0.0/8" },
	};
	static const struct match_case patterns[] = {
		/* the TrustedHosts of many tutorials */
		{ "127.0.0.1\nlocalhost\n192.168.0.0/24\n*.example.com\n", "m.example.com",
		  "192.0.2.1", true, "*.example.com" },
		{ "127.0.0.1\nlocalhost\n192.168.0.0/24\n*.example.com\n", "x", "192.168.0.7", true,
		  "192.168.0.0/24" },
		{ "127.0.0.1\nlocalhost\n192.168.0.0/24\n*.example.com\n", "x", "192.168.1.7",
		  false, "" },
		{ "192.168.*\n!192.168.3.*\n", "x", "192.168.1.7", true, "192.168.*" },
		{ "192.168.*\n!192.168.3.*\n", "x", "192.168.3.7", false, "!192.168.3.*" },
		{ "*\n", "anything", "192.0.2.1", true, "*" },
		{ "*\n!bad.example\n", "bad.example", "192.0.2.1", false, "!bad.example" },
		{ "mx[0-9].example\n", "mx7.example", "192.0.2.1", true, "mx[0-9].example" },
	};

	(void)state;
	check_cases("file:", files, ARRAY_LEN(files));
	check_cases("refile:", patterns, ARRAY_LEN(patterns));
}

static void wrong_entries_show_the_right_form(void **state)
{
	static const struct {
		const char *entry;
		const char *part;
	} cases[] = {
		{ "10.0.0.1/8", "write 10.0.0.0/8" },
		{ "!192.168.1.77/24", "write 192.168.1.0/24" },
		{ "2001:db8::1/32", "write 2001:db8::/32" },
		{ "192.0.2/24", "write all four numbers" },
		{ "192.0.2", "write all four numbers" },
		{ "10.0.0.256", "is not an address" },
		{ "010.0.0.1", "is not an address" },
		{ "10.0.0.0/33", "has no prefix length" },
		{ "10.0.0.0/", "has no prefix length" },
		{ "10.0.0.0/255.0.0.0", "has no prefix length" },
		{ "10.0.0.0/-1", "has no prefix length" },
		{ "2001:db8::/129", "has no prefix length" },
		{ "fe80::1%eth0", "is not an address" },
		{ "[10.0.0.1", "is a wildcard" }, /* see below */
		{ "*.example.com", "write .example.com" },
		{ "!", "'!' alone" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		struct hostlist *list = NULL;
		struct err_detail detail = { "" };
		char text[80];
		enum err e;

		(void)snprintf(text, sizeof(text), "# one\nok.example\n%s\n", cases[i].entry);
		e = hostlist_open("PeerList", table("", text), files, &list, &detail);
		if (strcmp(cases[i].entry, "[10.0.0.1") == 0) { /* a name that no host has */
			assert_int_equal(e, ERR_OK);
			hostlist_free(&list);
			continue;
		}
		assert_int_equal(e, ERR_CONFIG);
		assert_null(list);
		assert_contains(detail.text, ":3: PeerList: ");
		assert_contains(detail.text, cases[i].part);
	}
}

static void no_list_matches_nothing(void **state)
{
	AUTO(files_free) struct files *files = files_new_closed();
	AUTO(hostlist_free) struct hostlist *list = NULL;
	struct slice rule = SLICE_LIT("?");
	struct client client;

	(void)state;
	assert_int_equal(hostlist_open("PeerList", NULL, files, &list, NULL), ERR_OK);
	assert_false(
		hostlist_match(list, SLICE_LIT("a.example"), address("10.0.0.1", &client), &rule));
	assert_int_equal(rule.len, 0);
	assert_false(hostlist_match(NULL, SLICE_LIT("a"), NULL, NULL));
}

static void hostile_host_names_are_no_names(void **state)
{
	AUTO(files_free) struct files *files = files_new_closed();
	AUTO(hostlist_free) struct hostlist *list = NULL;
	char dots[2000];
	struct client client;

	(void)state;
	memset(dots, '.', sizeof(dots));
	assert_int_equal(hostlist_open("PeerList", "a.example,.", files, &list, NULL), ERR_OK);
	assert_false(hostlist_match(list, slice_of(dots, sizeof(dots)),
				    address("10.0.0.1", &client), NULL));
}

static void hosts_without_a_comma_are_refused(void **state)
{
	static const char *const lists[] = { "127.0.0.1 192.168.1.0/24", "a.example b.example",
					     "a.example,!b.example\tc.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		AUTO(files_free) struct files *files = files_new_closed();
		AUTO(hostlist_free) struct hostlist *list = NULL;
		struct err_detail detail = { "" };
		char place[40];

		(void)snprintf(place, sizeof(place), "entry %d of InternalHosts: '",
			       i == 2 ? 2 : 1);
		assert_int_equal(hostlist_open("InternalHosts", lists[i], files, &list, &detail),
				 ERR_CONFIG);
		assert_ptr_equal(strstr(detail.text, place), detail.text);
		assert_non_null(strstr(detail.text, "put commas between entries"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_decide_in_opendkims_order),
		cmocka_unit_test(files_and_patterns_do_the_same),
		cmocka_unit_test(wrong_entries_show_the_right_form),
		cmocka_unit_test(no_list_matches_nothing),
		cmocka_unit_test(hosts_without_a_comma_are_refused),
		cmocka_unit_test(hostile_host_names_are_no_names),
	};

	return cmocka_run_group_tests(tests, tables_setup, tables_teardown);
}
