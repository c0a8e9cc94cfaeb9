/* Key records from DNS, a file or a table, behind one set of functions. */
#include "dns/source.h"

#include <stdlib.h>

struct source_ops {
	enum err (*ask)(struct dns_source *source, struct dns_ticket *ticket);
	void (*finish)(struct dns_ticket *ticket, int64_t deadline_ms, struct dns_answer *answer);
};

struct dns_source {
	const struct source_ops *ops;
	struct dns_resolver *resolver;
	struct slice text;
	struct dns_table table;
};

struct dns_ticket {
	struct dns_source *source;
	struct dns_query *query;
	char name[DNS_NAME_TEXT_MAX];
};

/* ---- DNS ---- */

static enum err resolver_ask(struct dns_source *source, struct dns_ticket *ticket)
{
	return dns_query_start(source->resolver, ticket->name, DNS_TYPE_TXT, &ticket->query);
}

static void resolver_finish(struct dns_ticket *ticket, int64_t deadline_ms,
			    struct dns_answer *answer)
{
	dns_query_finish(&ticket->query, deadline_ms, answer);
}

static const struct source_ops resolver_ops = { resolver_ask, resolver_finish };

enum err dns_source_new_resolver(struct dns_resolver *resolver, struct dns_source **ret_source)
{
	struct dns_source *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		dns_resolver_free(&resolver);
		return ERR_NOMEM;
	}
	s->ops = &resolver_ops;
	s->resolver = resolver;
	*ret_source = s;
	return ERR_OK;
}

/* ---- file ---- */

/* What is at hand is not asked for. */
static enum err local_ask(struct dns_source *source, struct dns_ticket *ticket)
{
	(void)source;
	(void)ticket;
	return ERR_OK;
}

/* TXT data: strings of at most 255 bytes, each behind its length. */
static enum err add_record(struct dns_answer *answer, struct slice text)
{
	AUTO(buf_done) struct buf data;
	struct slice out;
	enum err e;

	buf_init(&data, 2 * (text.len + 1));
	do {
		struct slice part = slice_sub(text, 0, 255);

		buf_add_ch(&data, (char)part.len);
		buf_add(&data, part);
		text = slice_sub(text, part.len, text.len);
	} while (text.len > 0);
	e = buf_finish(&data, &out);
	return e == ERR_OK ? dns_answer_add(answer, out.ptr, out.len) : e;
}

static bool line_of_name(struct slice line, struct slice name, struct slice *ret_record)
{
	struct slice text = slice_trim(line);
	size_t blank = 0;

	while (blank < text.len && !ch_is_wsp(text.ptr[blank]))
		blank++;
	*ret_record = slice_trim(slice_sub(text, blank, text.len));
	return text.len > 0 && text.ptr[0] != '#' && slice_ieq(slice_sub(text, 0, blank), name);
}

static void file_finish(struct dns_ticket *ticket, int64_t deadline_ms, struct dns_answer *answer)
{
	struct slice rest = ticket->source->text;
	struct slice line;
	struct slice record;

	(void)deadline_ms;
	if (answer == NULL)
		return;
	answer->status = DNS_NXDOMAIN;
	while (slice_next(&rest, '\n', &line)) {
		if (!line_of_name(line, slice_str(ticket->name), &record))
			continue;
		answer->status = add_record(answer, record) == ERR_OK ? DNS_FOUND : DNS_BROKEN;
	}
}

static const struct source_ops file_ops = { local_ask, file_finish };

enum err dns_source_new_file(struct slice text, struct dns_source **ret_source)
{
	struct dns_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->ops = &file_ops;
	s->text = text;
	*ret_source = s;
	return ERR_OK;
}

/* ---- table ---- */

static void table_finish(struct dns_ticket *ticket, int64_t deadline_ms, struct dns_answer *answer)
{
	const struct dns_table *table = &ticket->source->table;
	struct slice record;
	enum err e;

	(void)deadline_ms;
	if (answer == NULL)
		return;
	e = table->find(table->ctx, slice_str(ticket->name), &record);
	answer->status = e == ERR_NOT_FOUND ? DNS_NXDOMAIN : DNS_BROKEN;
	if (e == ERR_OK && add_record(answer, record) == ERR_OK)
		answer->status = DNS_FOUND;
}

static const struct source_ops table_ops = { local_ask, table_finish };

enum err dns_source_new_table(const struct dns_table *table, struct dns_source **ret_source)
{
	struct dns_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->ops = &table_ops;
	s->table = *table;
	*ret_source = s;
	return ERR_OK;
}

/* ---- both ---- */

void dns_source_free(struct dns_source **source)
{
	if (source == NULL || *source == NULL)
		return;
	dns_resolver_free(&(*source)->resolver);
	free(*source);
	*source = NULL;
}

enum err dns_source_ask(struct dns_source *source, struct slice name,
			struct dns_ticket **ret_ticket)
{
	struct dns_ticket *t;
	enum err e;

	if (name.len == 0 || name.len >= sizeof(t->name))
		return ERR_LIMIT;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return ERR_NOMEM;
	memcpy(t->name, name.ptr, name.len);
	t->source = source;
	e = source->ops->ask(source, t);
	if (e == ERR_OK)
		*ret_ticket = t;
	else
		free(t);
	return e;
}

void dns_ticket_finish(struct dns_ticket **ticket, int64_t deadline_ms, struct dns_answer *answer)
{
	if (ticket == NULL || *ticket == NULL)
		return;
	(*ticket)->source->ops->finish(*ticket, deadline_ms, answer);
	free(*ticket);
	*ticket = NULL;
}
