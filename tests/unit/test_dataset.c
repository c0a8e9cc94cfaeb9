/* keytable/: data sets, alone and side by side with opendkim -Q. */
#include "tests/unit/tables.h"

#include "keytable/dataset.h"
#include "keytable/dataset_priv.h"
#include "keytable/pattern.h"

static struct dataset *open_ok(const char *spec, unsigned flags, struct files *files)
{
	struct dataset *set = NULL;
	struct err_detail detail = { "" };
	enum err e = dataset_open("Test", spec, flags, files, &set, &detail);

	if (e != ERR_OK)
		fail_msg("%s: %s", spec, detail.text);
	return set;
}

/* What a key finds: its value, or "-". */
static const char *found(const struct dataset *set, const char *key)
{
	static char text[256];
	struct slice value;
	enum err e = dataset_find(set, slice_str(key), &value);

	if (e == ERR_NOT_FOUND)
		return "-";
	assert_int_equal(e, ERR_OK);
	(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(value));
	return text;
}

static bool join_value(void *ctx, struct slice value)
{
	char *joined = ctx;
	size_t len = strlen(joined);

	(void)snprintf(joined + len, 512 - len, "%.*s ", SLICE_FMT(value));
	return true;
}

static const char *found_all(const struct dataset *set, const char *key)
{
	static char joined[512];

	joined[0] = '\0';
	(void)!dataset_find_all(set, slice_str(key), join_value, joined);
	return joined;
}

static void file_rows_are_read_as_opendkim_reads_them(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free)
	struct dataset *set = open_ok(table("file:", "# comment\n"
						     "\n"
						     "plain\n"
						     "a 1\r\n"
						     " \tb\t 2 and more \t\n"
						     "c 3#4\n"
						     "a later\n"
						     "#d 5\n"
						     "e\v6\n"
						     "f# 7\n"
						     "last 8"),
				      0, files);

	(void)state;
	assert_int_equal(dataset_count(set), 8);
	assert_string_equal(found(set, "plain"), "");
	assert_string_equal(found(set, "a"), "1");
	assert_string_equal(found(set, "b"), "2 and more");
	assert_string_equal(found(set, "c"), "3");
	assert_string_equal(found(set, "d"), "-");
	assert_string_equal(found(set, "e"), "6");
	assert_string_equal(found(set, "f"), "");
	assert_string_equal(found(set, "last"), "8");
	assert_string_equal(found(set, "A"), "-");
	assert_string_equal(found(set, ""), "-");
	assert_string_equal(found(set, "pla"), "-");
	assert_string_equal(found(set, "plain "), "-");
	assert_string_equal(found_all(set, "a"), "1 later ");
	assert_string_equal(found_all(set, "x"), "");
	assert_false(dataset_is_pattern(set));
}

static void case_counts_only_where_it_is_told_to(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free)
	struct dataset *set =
		open_ok(table("", "Example.COM k1\n\xc3\x84.example k2\n"), DATASET_ICASE, files);

	(void)state;
	assert_string_equal(found(set, "eXample.com"), "k1");
	assert_string_equal(found(set, "\xc3\x84.example"), "k2");
	assert_string_equal(found(set, "\xc3\xa4.example"), "-"); /* ASCII only */
}

static void lists_are_split_at_commas_and_the_first_equals_sign(void **state)
{
	static const struct {
		const char *spec;
		const char *key;
		const char *want;
	} cases[] = {
		{ "a, b =c=d ,e", "a", "" },
		{ "a, b =c=d ,e", "b", "c=d" },
		{ "a, b =c=d ,e", "e", "" },
		{ "csl:x y=1,,x y=2", "x y", "1" },
		{ "csl:x y=1,,x y=2", "", "-" },
		{ "a,b:c", "b:c", "" },
		{ "CSL:::1,a", "::1", "" },
		{ "a#b", "a#b", "" },
		{ "=v,a", "", "-" },
		{ "csl:", "", "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_closed();
		AUTO(dataset_free) struct dataset *set = open_ok(cases[i].spec, 0, files);

		assert_string_equal(found(set, cases[i].key), cases[i].want);
	}
}

static void specs_that_do_not_work_say_what_does(void **state)
{
	static const struct {
		const char *spec;
		enum err e;
		const char *part;
	} cases[] = {
		{ "db:/x", ERR_NOT_SUPPORTED, "db_dump" },
		{ "/etc/keys.db", ERR_NOT_SUPPORTED, "db_dump" },
		{ "dsn:mysql://x", ERR_NOT_SUPPORTED, "SQL" },
		{ "LDAP://x", ERR_NOT_SUPPORTED, "LDAP" },
		{ "lua:/x", ERR_NOT_SUPPORTED, "refile:" },
		{ "memcache:x", ERR_NOT_SUPPORTED, "memcached" },
		{ "socket:x", ERR_NOT_SUPPORTED, "socket:" },
		{ "erlang:x", ERR_NOT_SUPPORTED, "Erlang" },
		{ "repute:x", ERR_NOT_SUPPORTED, "reputation" },
		{ "nosuch:x", ERR_CONFIG, "unknown data set type 'nosuch:'" },
		{ "::1,127.0.0.1", ERR_CONFIG, "csl:" },
		{ "file:", ERR_CONFIG, "names no file" },
		{ "refile:/nonexistent", ERR_IO, "/nonexistent: cannot read the file: No such" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		struct dataset *set = NULL;
		struct err_detail detail = { "" };

		assert_int_equal(dataset_open("MySetting", cases[i].spec, 0, files, &set, &detail),
				 cases[i].e);
		assert_null(set);
		assert_contains(detail.text, cases[i].part);
		assert_contains(detail.text, "MySetting: ");
	}
}

static void lists_that_should_be_files_say_how_files_are_written(void **state)
{
	static const struct {
		const char *spec;
		unsigned flags;
		const char *error;
	} cases[] = {
		{ "KeyTable", DATASET_NEED_VALUE,
		  "entry 1 of S: 'KeyTable' has no value; write NAME=VALUE, or, if it is a file, "
		  "its whole path from '/' on" },
		{ "a=b,refile /path", DATASET_NEED_VALUE,
		  "entry 2 of S: 'refile /path' has no value; a file is written with ':' and "
		  "without a blank, as in refile:/path" },
		{ "a=b,c=d,a=e", DATASET_UNIQUE,
		  "entry 3 of S: 'a' is entry 1 already; remove one (OpenDKIM takes the first "
		  "without a word)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_closed();
		struct dataset *set = NULL;
		struct err_detail detail = { "" };

		assert_int_equal(
			dataset_open("S", cases[i].spec, cases[i].flags, files, &set, &detail),
			ERR_CONFIG);
		assert_string_equal(detail.text, cases[i].error);
	}
}

static void bad_files_name_the_line(void **state)
{
	static const struct {
		const char *prefix;
		struct slice text;
		unsigned flags;
		const char *part; /* behind the path */
	} cases[] = {
		{ "", SLICE_INIT("a 1\nb\n"), DATASET_NEED_VALUE, ":2: 'b' has no value" },
		{ "refile:", SLICE_INIT("\n\n*@x.y #k\n"), DATASET_NEED_VALUE,
		  ":3: '*@x.y' has no" },
		{ "", SLICE_INIT("a 1\nb 2\n\na 3\n"), DATASET_UNIQUE,
		  ":4: 'a' stands on line 1 already" },
		{ "refile:", SLICE_INIT("*@a.b 1\n*@A.B 3\n"), DATASET_UNIQUE | DATASET_ICASE,
		  ":2: '*@A.B' stands on line 1 already" },
		{ "", SLICE_INIT("a 1\nb\0 2\n"), 0, ":2: the line holds a NUL byte" },
		{ "",
		  SLICE_INIT("\xef\xbb\xbf"
			     "a 1\n"),
		  0, ":1: the file starts with a byte order mark" },
		{ "refile:", SLICE_INIT("a 1\n(b 2\n"), 0, ":2: pattern '(b': Unmatched" },
		{ "refile:", SLICE_INIT("(a)\\1 1\n"), 0,
		  ":1: pattern '(a)\\\\1': back references" },
		{ "refile:", SLICE_INIT("((a{99}){99}){99} 1\n"), 0, ":1: pattern " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		struct dataset *set = NULL;
		struct err_detail detail = { "" };
		char want[160];

		assert_int_equal(dataset_open("Test", table_bytes(cases[i].prefix, cases[i].text),
					      cases[i].flags, files, &set, &detail),
				 ERR_CONFIG);
		assert_null(set);
		(void)snprintf(want, sizeof(want), "%s%s", tables_path, cases[i].part);
		assert_contains(detail.text, want);
	}
}

static void a_line_may_be_longer_than_any_buffer(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free) struct dataset *set = NULL;
	size_t len = 3000000;
	char *text = malloc(len);
	struct slice value;

	(void)state;
	assert_non_null(text);
	memset(text, 'v', len);
	text[0] = 'k';
	text[1] = ' ';
	text[len - 3] = '\n';
	text[len - 2] = 'z';
	set = open_ok(table_bytes("file:", slice_of(text, len)), 0, files);
	assert_int_equal(dataset_count(set), 2);
	assert_int_equal(dataset_find(set, SLICE_LIT("k"), &value), ERR_OK);
	assert_int_equal(value.len, len - 5);
	free(text);
}

static bool join_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	char *joined = ctx;
	size_t len = strlen(joined);

	(void)snprintf(joined + len, 512 - len, "%s=%.*s,%.*s ", strrchr(origin, ':'),
		       SLICE_FMT(key), SLICE_FMT(value));
	return value.len != 4; /* "stop" */
}

static void each_walks_the_rows_with_their_lines(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free)
	struct dataset *set = open_ok(table("", "\n# x\na 1\nb 2\n\n\n\nc stop\nd 4\n"), 0, files);
	char joined[512] = "";

	(void)state;
	assert_int_equal(dataset_each(set, join_row, joined), ERR_OK);
	assert_string_equal(joined, ":3=a,1 :4=b,2 :8=c,stop ");
}

static void a_list_of_names_may_stand_in_a_file(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	char *list = NULL;

	(void)state;
	assert_int_equal(dataset_list("SignHeaders", table("file:", "*\n+X-Own # c\n-Date\n"),
				      files, &list, NULL),
			 ERR_OK);
	assert_string_equal(list, "*,+X-Own,-Date");
	free(list);
	assert_int_equal(dataset_list("SignHeaders", "a, b", files, &list, NULL), ERR_OK);
	assert_string_equal(list, "a,b");
	free(list);
	assert_int_equal(dataset_list("SignHeaders", "csl:", files, &list, NULL), ERR_OK);
	assert_string_equal(list, "");
	free(list);
	assert_int_equal(dataset_list("SignHeaders", NULL, files, &list, NULL), ERR_OK);
	assert_null(list);
}

static void empty_tables_find_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "# only a comment", " \t \n" };
	static const char *const prefixes[] = { "file:", "refile:" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (size_t p = 0; p < ARRAY_LEN(prefixes); p++) {
			AUTO(files_free) struct files *files = files_new_real();
			AUTO(dataset_free)
			struct dataset *set = open_ok(table(prefixes[p], texts[i]),
						      DATASET_NEED_VALUE | DATASET_UNIQUE, files);

			assert_int_equal(dataset_count(set), 0);
			assert_string_equal(found(set, "a@b.c"), "-");
			assert_string_equal(found(set, ""), "-");
		}
	}
}

static void the_first_row_of_a_refile_wins_over_all_forms(void **state)
{
	static const struct {
		const char *text;
		const char *key;
		const char *want; /* all values in order */
	} cases[] = {
		{ "*@a.b 1\nx@a.b 2\n* 3\n", "x@a.b", "1 2 3 " },
		{ "* 3\nx@a.b 2\n*@a.b 1\n", "x@a.b", "3 2 1 " },
		{ "x@* 1\n*x@a.b 2\n*@*.b 3\n*.b 4\n(x|y)@a.b 5\n", "x@a.b", "1 2 3 4 5 " },
		{ "x@* 1\n*@*.b 2\n*.b 3\n", "x@c.a.b", "1 2 3 " },
		{ "*@a.b 1\n*@a.b 2\n*@A.B 3\n", "Q@a.B", "1 2 3 " },
		{ "*@b 1\n", "x@a@b", "1 " },
		{ "a@* 1\n", "a@b@c", "1 " },
		{ "a@b@* 1\n", "a@b@c", "1 " },
		{ "*@*.b 1\n", "x.b", "" },
		{ "*@*.b 1\n", "x@.b", "1 " },
		{ "*@*.b 1\n", "@.b", "1 " },
		{ "*@a 1\n", "@a", "1 " },
		{ "*@a 1\n", "a", "" },
		{ "*example.com 1\n", "u@notexample.com", "1 " },
		{ "*@example.com 1\n", "u@sub.example.com", "" },
		{ "*.example.com 1\n", "u@sub.example.com", "1 " },
		{ "u+*@example.com 1\n", "u+tag@example.com", "1 " },
		{ "u+*@example.com 1\n", "uu@example.com", "" },
		{ "u@example.com 1\n", "u@exampleXcom", "" },
		{ "*@(a|z).b.example.com 1\n", "q@z.b.example.com", "1 " },
		{ "u?@x 1\n", "@x", "1 " },
		{ "*@[a-c].x 1\n", "q@B.x", "1 " },
		{ "a@b|c@d 1\n", "a@bzzz", "1 " }, /* "^a@b|c@d$", as in OpenDKIM */
		{ "  lead@x 1\n", "lead@x", "1 " },
		{ "*a*b*c* 1\n", "xxaxxbxxcxx", "1 " },
		{ "*a*b*c* 1\n", "xxbxxaxxcxx", "" },
		{ "**a** 1\n", "a", "1 " },
		{ "a*a 1\n", "a", "" },
		{ "a*a 1\n", "aa", "1 " },
		{ "ab*ba 1\n", "aba", "" },
		{ "*ab*ab 1\n", "xabab", "1 " },
		{ "*ab*ab 1\n", "xab", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(dataset_free)
		struct dataset *set =
			open_ok(table("refile:", cases[i].text), DATASET_ICASE, files);

		assert_true(dataset_is_pattern(set));
		if (strcmp(found_all(set, cases[i].key), cases[i].want) != 0)
			fail_msg("case %zu: '%s' finds '%s', not '%s'", i, cases[i].key,
				 found_all(set, cases[i].key), cases[i].want);
	}
}

/* The usual forms are in the index: no pattern is left to be walked. */
static void usual_patterns_are_not_walked(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free)
	struct dataset *set = open_ok(table("refile:", "*@example.com 1\n*@*.example.com 2\nu@* 3\n"
						       "u@example.com 4\n*.example.com 5\n"),
				      DATASET_ICASE, files);

	(void)state;
	assert_int_equal(set->pattern_count, 0);
}

static int64_t ms_to_find(const struct dataset *set, struct slice key)
{
	int64_t start = cpu_ms();
	struct slice value;

	(void)!dataset_find(set, key, &value);
	return cpu_ms() - start;
}

static void hostile_keys_and_patterns_do_not_take_long(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free)
	struct dataset *set = open_ok(table("refile:", "*a*a*a*a*a*a*a*a*a*b 1\n*@x.y 2\n*.z 3\n"
						       "*@*.q 4\nu@* 5\n(a*)*(a*)*c 6\n"),
				      DATASET_ICASE, files);
	size_t len = 1000000;
	char *key = malloc(len);
	static const char *const fills[] = { "a", ".", "@", "@.", "a@" };

	(void)state;
	assert_non_null(key);
	for (size_t f = 0; f < ARRAY_LEN(fills); f++) {
		for (size_t i = 0; i < len; i++)
			key[i] = fills[f][i % strlen(fills[f])];
		assert_true(ms_to_find(set, slice_of(key, len)) < 2000);
	}
	memset(key, 'a', 1000);
	assert_true(ms_to_find(set, slice_of(key, 1000)) < 2000);
	free(key);
}

static void many_equal_rows_are_walked_once(void **state)
{
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free) struct dataset *set = NULL;
	size_t rows = 200000;
	char *text = malloc(rows * 4);
	struct dataset_row row;
	uint32_t cursor = 0;
	size_t n = 0;
	int64_t start = cpu_ms();

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < rows; i++)
		for (size_t c = 0; c < 4; c++)
			text[i * 4 + c] = "a 1\n"[c];
	set = open_ok(table_bytes("", slice_of(text, rows * 4)), 0, files);
	while (dataset_next(set, SLICE_LIT("a"), &cursor, &row) == ERR_OK)
		n++;
	assert_int_equal(n, rows);
	assert_true(cpu_ms() - start < 5000);
	free(text);
}

/* Side by side: the same table and keys through the distribution's opendkim. Each case is one
 * table, its keys are separated by blanks. -Q takes no flags, so case counts. */
static const struct {
	const char *prefix;
	const char *text; /* NULL: prefix is the whole spec */
	const char *keys;
} side_by_side[] = {
	{ "file:", "a 1\nb\t2 3\r\n  c 4 # x\n#d 5\ne\na second\nf#g 6\nlong k:l:m\nlast 9",
	  "a b c d e f g f#g long last A x" },
	{ "csl:a=1,b = 2 , c,d=e=f,,a=3", NULL, "a b c d e" },
	{ "x,y=z", NULL, "x y z" },
	{ "refile:",
	  "*@example.com 1\nu@* 2\n*@*.example.org 3\n*.net 4\nplain@x.y 5\n*mid*dle* 6\n"
	  "(a|b)@c 7\n[0-9]*@d 8\nq?@e 9\nplus+*@f 10\ndots.in.it@g 11\n^anchor@h$ 12\n"
	  "alt@i|other@j 13\nrep{2}@k 14\n* 99\n",
	  "u@example.com U@example.com u@sub.example.com z@a.example.org z@example.org q@x.net "
	  "plain@x.y plain@xyy xmidydlez xmiddle middle a@c b@c c@c 5x@d x@d @e q@e qq@e "
	  "plus+1@f pluss@f dots.in.it@g dotsXin.it@g anchor@h alt@i alt@izz xother@j rep@k repp@k "
	  "u@ @ nothing" },
	{ "refile:", "*@a.b first\nx@a.b second\n", "x@a.b y@a.b x@a.bb x@c.a.b @a.b a.b" },
	{ "refile:", "*a*b*c end\n", "abc aabbcc acb xaxbxc xaxbxcx c abcabc" },
};

static void ask_opendkim(const char *spec, const char *keys, char *out, size_t size)
{
	char path[80];
	char command[160];
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/q", tables_dir);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(file, "%s\n", spec);
	for (const char *k = keys; *k != '\0'; k += strcspn(k, " "), k += *k == ' ')
		(void)fprintf(file, "%.*s/1\n", (int)strcspn(k, " "), k);
	(void)fclose(file);
	(void)snprintf(command, sizeof(command), "opendkim -Q <%s 2>&1", path);
	file = popen(command, "r"); /* NOLINT(cert-env33-c): the test's own program */
	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	(void)pclose(file);
	(void)unlink(path);
}

static void look_ups_agree_with_opendkim(void **state)
{
	(void)state;
	if (system("command -v opendkim >/dev/null") != 0) { /* NOLINT(cert-env33-c): a test */
		assert_null(getenv("REQUIRE_ALL"));
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(side_by_side); i++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(dataset_free) struct dataset *set = NULL;
		const char *spec = side_by_side[i].text == NULL
					   ? side_by_side[i].prefix
					   : table(side_by_side[i].prefix, side_by_side[i].text);
		static char theirs[8192];
		static char ours[8192];
		size_t len = 0;

		set = open_ok(spec, 0, files);
		ask_opendkim(spec, side_by_side[i].keys, theirs, sizeof(theirs));
		for (const char *k = side_by_side[i].keys; *k != '\0';
		     k += strcspn(k, " "), k += *k == ' ') {
			char key[64];
			const char *value;

			(void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(k, " "), k);
			value = found(set, key);
			if (strcmp(value, "-") == 0)
				len += (size_t)snprintf(
					ours + len, sizeof(ours) - len,
					"opendkim: dkimf_db_get(): record not found\n");
			else
				len += (size_t)snprintf(ours + len, sizeof(ours) - len, "'%s'\n",
							value);
		}
		(void)snprintf(ours + len, sizeof(ours) - len, "\n");
		if (strcmp(ours, theirs) != 0)
			fail_msg("case %zu\nours:\n%s\nopendkim's:\n%s", i, ours, theirs);
	}
}

/* Slow, printed and not asserted: HSMDKIM_SLOW=1. */
static void a_million_rows_open_fast(void **state)
{
	static const char *const forms[] = { "file:", "refile:" };

	(void)state;
	if (getenv("HSMDKIM_SLOW") == NULL)
		return;
	for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
		AUTO(files_free) struct files *files = files_new_real();
		AUTO(dataset_free) struct dataset *set = NULL;
		FILE *out = fopen(tables_path, "w");
		char spec[96];
		int start;
		int read_ms;
		struct slice value;
		struct slice text;

		assert_non_null(out);
		for (int i = 0; i < 1000000; i++)
			(void)fprintf(out, "%sdomain%07d.example.com key%07d\n", f == 1 ? "*@" : "",
				      i, i);
		(void)fclose(out);
		(void)snprintf(spec, sizeof(spec), "%s%s", forms[f], tables_path);
		start = cpu_ms();
		assert_int_equal(files_map(files, tables_path, &text, NULL), ERR_OK);
		read_ms = cpu_ms() - start;
		start = cpu_ms();
		set = open_ok(spec, DATASET_ICASE | DATASET_NEED_VALUE, files);
		print_message("%s 1,000,000 rows, %zu bytes: read %d ms, opened %d ms of CPU\n",
			      forms[f], text.len, read_ms, cpu_ms() - start);
		start = cpu_ms();
		for (int i = 0; i < 1000000; i++) {
			char key[64];
			int n = snprintf(key, sizeof(key), "%sdomain%07d.example.com",
					 f == 1 ? "user@" : "", i);

			assert_int_equal(dataset_find(set, slice_of(key, (size_t)n), &value),
					 ERR_OK);
		}
		print_message("1,000,000 look-ups: %d ms of CPU\n", cpu_ms() - start);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_rows_are_read_as_opendkim_reads_them),
		cmocka_unit_test(case_counts_only_where_it_is_told_to),
		cmocka_unit_test(lists_are_split_at_commas_and_the_first_equals_sign),
		cmocka_unit_test(specs_that_do_not_work_say_what_does),
		cmocka_unit_test(lists_that_should_be_files_say_how_files_are_written),
		cmocka_unit_test(bad_files_name_the_line),
		cmocka_unit_test(a_line_may_be_longer_than_any_buffer),
		cmocka_unit_test(each_walks_the_rows_with_their_lines),
		cmocka_unit_test(a_list_of_names_may_stand_in_a_file),
		cmocka_unit_test(empty_tables_find_nothing),
		cmocka_unit_test(the_first_row_of_a_refile_wins_over_all_forms),
		cmocka_unit_test(usual_patterns_are_not_walked),
		cmocka_unit_test(hostile_keys_and_patterns_do_not_take_long),
		cmocka_unit_test(many_equal_rows_are_walked_once),
		cmocka_unit_test(look_ups_agree_with_opendkim),
		cmocka_unit_test(a_million_rows_open_fast),
	};

	return cmocka_run_group_tests(tests, tables_setup, tables_teardown);
}
