/* Messages that dkimpy, Mail::DKIM and OpenDKIM signed (tests/golden/verify/make.py) verify; with
 * one byte added to what is signed they do not. */
#include "tests/unit/verify_fixture.h"

#include <dirent.h>
#include <stdio.h>

#define FOLDER SRCDIR "/tests/golden/verify/"
#define ROWS_MAX 8u
/* After all of them were made. */
#define LATER 2000000000

static struct dns_row dns[ROWS_MAX];
static size_t dns_count;

/* A file with each LF as CRLF. */
static char *read_wire(const char *name)
{
	char path[512];
	FILE *file;
	char *text = malloc(65536);
	size_t len = 0;
	int c;

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), FOLDER "%s", name);
	file = fopen(path, "rb");
	assert_non_null(file);
	while ((c = fgetc(file)) != EOF && len < 65000) {
		if (c == '\n')
			text[len++] = '\r';
		text[len++] = (char)c;
	}
	text[len] = '\0';
	(void)fclose(file);
	return text;
}

static int load_keys(void **state)
{
	char *text = read_wire("keys.txt");
	char *save = NULL;
	char *line = strtok_r(text, "\r\n", &save);

	while (line != NULL && dns_count < ROWS_MAX) {
		char *tab = strchr(line, '\t');

		assert_non_null(tab);
		*tab = '\0';
		dns[dns_count++] = (struct dns_row){ .name = line, .text = tab + 1 };
		line = strtok_r(NULL, "\r\n", &save);
	}
	*state = text;
	return dns_count != 0 ? 0 : -1;
}

static int free_keys(void **state)
{
	free(*state);
	return 0;
}

/* @param extra_field put before the message's own From; extra_body behind the body */
static enum dkim_reason verify(const char *wire, const char *extra_field, const char *extra_body)
{
	const char *end = strstr(wire, "\r\n\r\n");
	size_t header_len = (size_t)(end - wire) + 2;
	char *fields = malloc(header_len + strlen(extra_field) + 1);
	char *body = malloc(strlen(end) + strlen(extra_body));
	enum dkim_reason reason;
	struct message m;

	assert_non_null(fields);
	assert_non_null(body);
	(void)sprintf(fields, "%.*s%s", (int)header_len, wire, extra_field);
	(void)sprintf(body, "%s%s", end + 4, extra_body);
	message_open(&m, fields, dns, dns_count);
	m.params.time.now = LATER;
	message_verify(&m, body);
	assert_int_equal(m.count, 1);
	reason = m.verdicts[0].reason;
	message_close(&m);
	free(fields);
	free(body);
	return reason;
}

static void check(const char *name)
{
	char *wire = read_wire(name);
	bool partial = strstr(name, "length") != NULL;

	print_message("%s\n", name);
	assert_int_equal(verify(wire, "", ""), DKIM_REASON_GOOD);
	assert_int_equal(verify(wire, "", "x\r\n"),
			 partial ? DKIM_REASON_BODY_PARTIAL : DKIM_REASON_BODY_CHANGED);
	assert_int_equal(verify(wire, "Subject: another\r\n", ""), DKIM_REASON_BAD_SIGNATURE);
	assert_int_equal(verify(wire, "From: another@example.com\r\n", ""), DKIM_REASON_MSG_AUTHOR);
	free(wire);
}

static void messages_of_other_programs_verify(void **state)
{
	DIR *folder = opendir(FOLDER);
	struct dirent *entry;
	size_t count = 0;

	(void)state;
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		if (strstr(entry->d_name, ".eml") == NULL)
			continue;
		check(entry->d_name);
		count++;
	}
	(void)closedir(folder);
	assert_true(count >= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_other_programs_verify),
	};

	return cmocka_run_group_tests(tests, load_keys, free_keys);
}
