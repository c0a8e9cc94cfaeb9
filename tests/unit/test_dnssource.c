/* dns/source: key records from a file; the resolver gives up at its deadline and leaves nothing
 * behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/source.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/folder.h"

static enum dns_status ask(struct dns_source *source, const char *name, struct buf *out)
{
	struct dns_ticket *ticket = NULL;
	struct dns_answer answer;
	enum dns_status status;

	dns_answer_init(&answer);
	assert_int_equal(dns_source_ask(source, slice_str(name), &ticket), ERR_OK);
	dns_ticket_finish(&ticket, clock_mono_ms() + 300, &answer);
	assert_null(ticket);
	status = answer.status;
	buf_reset(out);
	for (size_t i = 0; i < answer.count; i++)
		assert_int_equal(dns_txt_join(answer.data[i], out, NULL), ERR_OK);
	dns_answer_done(&answer);
	return status;
}

static void a_file_answers_by_name_without_case(void **state)
{
	static const char text[] = "# keys\n"
				   "sel._domainkey.Example.com  v=DKIM1; p=abc\r\n"
				   "empty._domainkey.example.com\n"
				   "two.example.com a\ntwo.example.com b";
	struct dns_source *source = NULL;
	AUTO(buf_done) struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(dns_source_new_file(slice_of(text, sizeof(text) - 1), &source), ERR_OK);
	assert_int_equal(ask(source, "SEL._domainkey.example.com", &out), DNS_FOUND);
	assert_true(slice_eq(buf_slice(&out), SLICE_LIT("v=DKIM1; p=abc")));
	assert_int_equal(ask(source, "empty._domainkey.example.com", &out), DNS_FOUND);
	assert_int_equal(out.len, 0);
	assert_int_equal(ask(source, "two.example.com", &out), DNS_FOUND);
	assert_true(slice_eq(buf_slice(&out), SLICE_LIT("ab")));
	assert_int_equal(ask(source, "none.example.com", &out), DNS_NXDOMAIN);
	dns_source_free(&source);
}

static enum err find_in_table(void *ctx, struct slice name, struct slice *ret_record)
{
	(void)ctx;
	if (slice_eq(name, SLICE_LIT("broken.example.com")))
		return ERR_IO;
	if (!slice_ieq(name, SLICE_LIT("sel._domainkey.example.com")))
		return ERR_NOT_FOUND;
	*ret_record = SLICE_LIT("v=DKIM1; p=abc");
	return ERR_OK;
}

static void a_table_answers_what_it_holds(void **state)
{
	const struct dns_table table = { .find = find_in_table };
	struct dns_source *source = NULL;
	AUTO(buf_done) struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(dns_source_new_table(&table, &source), ERR_OK);
	assert_int_equal(ask(source, "sel._domainkey.example.com", &out), DNS_FOUND);
	assert_true(slice_eq(buf_slice(&out), SLICE_LIT("v=DKIM1; p=abc")));
	assert_int_equal(ask(source, "none.example.com", &out), DNS_NXDOMAIN);
	assert_int_equal(ask(source, "broken.example.com", &out), DNS_BROKEN);
	dns_source_free(&source);
}

static void a_record_longer_than_one_string_comes_back_whole(void **state)
{
	char text[1000] = "long.example.com ";
	struct dns_source *source = NULL;
	AUTO(buf_done) struct buf out;
	size_t head = strlen(text);

	(void)state;
	buf_init(&out, 1000);
	memset(text + head, 'x', 700);
	assert_int_equal(dns_source_new_file(slice_of(text, head + 700), &source), ERR_OK);
	assert_int_equal(ask(source, "long.example.com", &out), DNS_FOUND);
	assert_int_equal(out.len, 700);
	dns_source_free(&source);
}

/* A name server that takes every question and answers none. */
static int silent_server(char *spec, size_t size)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	(void)snprintf(spec, size, "127.0.0.1@%u", ntohs(addr.sin_port));
	return fd;
}

static void a_server_that_never_answers_costs_the_deadline_and_leaves_nothing(void **state)
{
	struct dns_resolver_config config = { 0 };
	struct dns_resolver *resolver = NULL;
	struct dns_source *source = NULL;
	struct dns_ticket *tickets[50];
	struct dns_answer answer;
	struct err_detail detail;
	size_t threads;
	char spec[64];
	int64_t start;
	int fd = silent_server(spec, sizeof(spec));

	(void)state;
	config.nameservers = spec;
	assert_int_equal(dns_resolver_new(&config, &resolver, &detail), ERR_OK);
	assert_int_equal(dns_resolver_warm_up(resolver), ERR_OK);
	assert_int_equal(dns_source_new_resolver(resolver, &source), ERR_OK);
	for (int round = 0; round < 3; round++) {
		start = clock_mono_ms();
		for (size_t i = 0; i < 50; i++) {
			char name[64];

			(void)snprintf(name, sizeof(name), "s%d-%zu._domainkey.example.com", round,
				       i);
			assert_int_equal(dns_source_ask(source, slice_str(name), &tickets[i]),
					 ERR_OK);
		}
		for (size_t i = 0; i < 50; i++) {
			dns_answer_init(&answer);
			dns_ticket_finish(&tickets[i], start + 200, &answer);
			assert_int_equal(answer.status, DNS_TIMEOUT);
			dns_answer_done(&answer);
		}
		assert_true(clock_mono_ms() - start < 2000);
		if (round == 0)
			threads = count_entries("/proc/self/task");
		assert_int_equal(count_entries("/proc/self/task"), threads);
	}
	dns_source_free(&source);
	(void)close(fd);
}

static void a_name_that_is_none_is_refused(void **state)
{
	struct dns_source *source = NULL;
	struct dns_ticket *ticket = NULL;
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_int_equal(dns_source_new_file(SLICE_LIT(""), &source), ERR_OK);
	assert_int_equal(dns_source_ask(source, slice_of(name, sizeof(name)), &ticket), ERR_LIMIT);
	assert_int_equal(dns_source_ask(source, SLICE_LIT(""), &ticket), ERR_LIMIT);
	dns_source_free(&source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_answers_by_name_without_case),
		cmocka_unit_test(a_table_answers_what_it_holds),
		cmocka_unit_test(a_record_longer_than_one_string_comes_back_whole),
		cmocka_unit_test(a_server_that_never_answers_costs_the_deadline_and_leaves_nothing),
		cmocka_unit_test(a_name_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
