/*
 * Lists of hosts. Names are looked up in the data set as OpenDKIM does it; addresses and blocks are
 * parsed at load and found by masking the client's address to each prefix length that the list has.
 */
#include "keytable/hostlist.h"

#include "base/hash.h"
#include "base/text.h"
#include "keytable/ipaddr.h"
#include "keytable/rows.h"

#include <stdlib.h>

#define LEVEL_ADDRESS (IPADDR_BITS + 1) /* above all blocks: written without '/' */
#define LEVELS (LEVEL_ADDRESS + 1)

struct entry {
	struct slice rule; /* as written, with '!' */
	struct ipaddr addr;
	unsigned char level; /* prefix length, or LEVEL_ADDRESS */
	bool negated;
	uint32_t next; /* in its bucket; entry + 1, 0 ends it */
};

struct hostlist {
	struct dataset *set; /* NULL: an empty list */
	struct entry *entries;
	uint32_t *buckets; /* as many as entries */
	uint32_t count;
	bool has_level[LEVELS];
};

static uint32_t bucket_of(const struct hostlist *l, const struct ipaddr *addr, unsigned level)
{
	char key[sizeof(addr->bytes) + 1];

	memcpy(key, addr->bytes, sizeof(addr->bytes));
	key[sizeof(addr->bytes)] = (char)level;
	return rows_bucket((uint32_t)hash_bytes(slice_of(key, sizeof(key))), l->count);
}

struct loading {
	struct hostlist *list;
	const char *name;
	size_t room;
	enum err e;
	struct err_detail *detail;
};

static enum err add_block(struct loading *l, struct slice rule, bool negated,
			  const struct ipblock *block)
{
	struct hostlist *list = l->list;

	if (list->count == l->room) {
		size_t more = l->room * 2 + 16;
		struct entry *grown = realloc(list->entries, more * sizeof(*grown));

		if (grown == NULL)
			return ERR_NOMEM;
		list->entries = grown;
		l->room = more;
	}
	list->entries[list->count++] = (struct entry){
		.rule = rule,
		.addr = block->addr,
		.level = (unsigned char)(block->is_block ? block->bits : LEVEL_ADDRESS),
		.negated = negated,
	};
	return ERR_OK;
}

/* A name must be one that a look-up can ask for. */
static enum err check_name(const struct loading *l, struct slice name)
{
	if (name.len == 0) {
		err_detail_set(l->detail, "'!' alone excludes nothing");
		return ERR_CONFIG;
	}
	if (!dataset_is_pattern(l->list->set) && slice_find(name, '*') != name.len) {
		char shown[80];

		err_detail_set(
			l->detail,
			"'%s' is a wildcard, which this list does not have: write .example.com "
			"for all hosts below example.com, or use refile: (OpenDKIM never "
			"matches it)",
			text_sanitize(name, shown, sizeof(shown)));
		return ERR_CONFIG;
	}
	return ERR_OK;
}

/* Several hosts without a comma are one entry that no host matches. */
static enum err check_blank(const struct loading *l, struct slice key)
{
	char shown[80];

	if (!dataset_is_list(l->list->set) ||
	    (slice_find(key, ' ') == key.len && slice_find(key, '\t') == key.len))
		return ERR_OK;
	err_detail_set(l->detail,
		       "'%s' holds a blank: put commas between entries (OpenDKIM never matches it)",
		       text_sanitize(key, shown, sizeof(shown)));
	return ERR_CONFIG;
}

static bool load_row(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct loading *l = ctx;
	bool negated = slice_starts(key, SLICE_LIT("!"));
	struct slice text = slice_sub(key, negated, key.len);
	bool wild = dataset_is_pattern(l->list->set) &&
		    (slice_find(text, '*') != text.len || slice_find(text, '(') != text.len);
	struct ipblock block;

	(void)value;
	l->e = check_blank(l, text);
	if (l->e == ERR_OK && !wild && text.len != 0 && ipblock_looks_like(text)) {
		l->e = ipblock_parse(text, &block, l->detail);
		if (l->e == ERR_OK)
			l->e = add_block(l, key, negated, &block);
	} else if (l->e == ERR_OK) {
		l->e = check_name(l, text);
	}
	if (l->e != ERR_OK && !dataset_is_list(l->list->set)) /* its origin has the name */
		err_detail_prefix(l->detail, "%s: ", l->name);
	if (l->e == ERR_OK)
		return true;
	err_detail_prefix(l->detail, "%s: ", origin);
	l->e = dataset_fault(l->list->set, l->e, l->detail);
	return l->e == ERR_OK;
}

static enum err index_blocks(struct hostlist *l)
{
	if (l->count == 0)
		return ERR_OK;
	l->buckets = calloc(l->count, sizeof(*l->buckets));
	if (l->buckets == NULL)
		return ERR_NOMEM;
	for (uint32_t i = l->count; i-- > 0;) {
		struct entry *entry = &l->entries[i];
		uint32_t *first = &l->buckets[bucket_of(l, &entry->addr, entry->level)];

		l->has_level[entry->level] = true;
		entry->next = *first;
		*first = i + 1;
	}
	return ERR_OK;
}

enum err hostlist_open(const char *name, const char *spec, struct files *files,
		       struct hostlist **ret_list, struct err_detail *detail)
{
	AUTO(hostlist_free) struct hostlist *list = calloc(1, sizeof(*list));
	struct loading loading = { list, name, 0, ERR_OK, detail };
	enum err e = ERR_OK;

	if (list == NULL)
		return ERR_NOMEM;
	if (spec != NULL)
		e = dataset_open(name, spec, DATASET_ICASE, files, &list->set, detail);
	if (e == ERR_OK && spec != NULL)
		e = dataset_each(list->set, load_row, &loading);
	if (e == ERR_OK)
		e = loading.e;
	if (e == ERR_OK)
		e = index_blocks(list);
	if (e != ERR_OK)
		return e;
	*ret_list = list;
	list = NULL; /* handed over */
	return ERR_OK;
}

void hostlist_free(struct hostlist **list)
{
	if (*list == NULL)
		return;
	dataset_free(&(*list)->set);
	free((*list)->entries);
	free((*list)->buckets);
	free(*list);
	*list = NULL;
}

/* What a look-up found. */
enum verdict { VERDICT_NONE, VERDICT_NO, VERDICT_YES };

/* "!name" before "name", as OpenDKIM; in a refile a pattern like "*" would match "!name", too, and
 * means the yes. */
static enum verdict ask(const struct hostlist *l, struct slice name, struct slice *rule)
{
	char negated[260];
	struct dataset_row row;
	uint32_t cursor = 0;

	if (name.len + 1 < sizeof(negated)) {
		negated[0] = '!';
		memcpy(negated + 1, name.ptr, name.len);
		while (dataset_next(l->set, slice_of(negated, name.len + 1), &cursor, &row) ==
		       ERR_OK) {
			if (row.key.ptr[0] == '!') {
				*rule = row.key;
				return VERDICT_NO;
			}
		}
	}
	cursor = 0;
	while (dataset_next(l->set, name, &cursor, &row) == ERR_OK) {
		if (row.key.ptr[0] != '!') {
			*rule = row.key;
			return VERDICT_YES;
		}
	}
	return VERDICT_NONE;
}

/* The name and each parent as .suffix. */
static enum verdict ask_names(const struct hostlist *l, struct slice host, struct slice *rule)
{
	if (slice_ends(host, SLICE_LIT(".")))
		host.len--;
	if (host.len > 255)
		return VERDICT_NONE; /* no host name */
	while (host.len > 0) {
		enum verdict v = ask(l, host, rule);
		size_t dot = slice_find(slice_sub(host, 1, host.len), '.') + 1;

		if (v != VERDICT_NONE)
			return v;
		host = slice_sub(host, dot, host.len);
	}
	return VERDICT_NONE;
}

/* All entries of one network at one level; '!' wins over its twin. */
static enum verdict ask_level(const struct hostlist *l, const struct ipaddr *net, unsigned level,
			      struct slice *rule)
{
	enum verdict v = VERDICT_NONE;

	for (uint32_t i = l->buckets[bucket_of(l, net, level)]; i != 0;
	     i = l->entries[i - 1].next) {
		const struct entry *entry = &l->entries[i - 1];

		if (entry->level != level || memcmp(&entry->addr, net, sizeof(*net)) != 0)
			continue;
		if (v == VERDICT_NONE || entry->negated)
			*rule = entry->rule;
		v = entry->negated || v == VERDICT_NO ? VERDICT_NO : VERDICT_YES;
	}
	return v;
}

static enum verdict ask_addresses(const struct hostlist *l, const struct ipaddr *addr,
				  struct slice *rule)
{
	unsigned least = ipaddr_is_v4(addr) ? IPADDR_V4_BITS : 0;
	enum verdict v = VERDICT_NONE;

	if (l->has_level[LEVEL_ADDRESS])
		v = ask_level(l, addr, LEVEL_ADDRESS, rule);
	if (v == VERDICT_NONE && dataset_is_pattern(l->set)) {
		char text[IPADDR_TEXT_MAX];

		v = ask(l, slice_str(ipaddr_text(addr, text)), rule);
	}
	for (unsigned bits = IPADDR_BITS + 1; v == VERDICT_NONE && bits-- > least;) {
		struct ipaddr net = *addr;

		if (!l->has_level[bits])
			continue;
		ipaddr_mask(&net, bits);
		v = ask_level(l, &net, bits, rule);
	}
	return v;
}

bool hostlist_match(const struct hostlist *list, struct slice host, const struct sockaddr *addr,
		    struct slice *ret_rule)
{
	struct slice rule = SLICE_LIT("");
	enum verdict v = VERDICT_NONE;
	struct ipaddr client;

	if (list != NULL && list->set != NULL) {
		if (host.len != 0 && host.ptr[0] != '[')
			v = ask_names(list, host, &rule);
		if (v == VERDICT_NONE && addr != NULL && ipaddr_from_sockaddr(addr, &client))
			v = ask_addresses(list, &client, &rule);
	}
	if (ret_rule != NULL)
		*ret_rule = rule;
	return v == VERDICT_YES;
}
