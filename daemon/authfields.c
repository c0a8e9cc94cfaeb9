/* Foreign Authentication-Results fields: see authfields.h. */
#include "daemon/authfields.h"

#include "dkim/authres.h"

/* The id as a host name: without "/job" and without final dots. */
static struct slice host_of(struct slice id)
{
	struct slice host = slice_sub(id, 0, slice_find(id, '/'));

	while (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	return host;
}

struct claim {
	const struct authres *ar;
	bool found;
};

static bool look_for_claim(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct claim *claim = ctx;

	(void)value;
	(void)origin;
	if (key.len > 0 && key.ptr[0] == '.')
		key = slice_sub(key, 1, key.len);
	claim->found = authres_claims(claim->ar, key);
	return !claim->found;
}

/* The host itself, then each ".parent". */
static enum err host_listed(const struct dataset *set, struct slice host, bool *ret_listed)
{
	enum err err = dataset_holds(set, host, ret_listed);

	for (size_t i = 0; i < host.len && err == ERR_OK && !*ret_listed; i++) {
		if (host.ptr[i] == '.')
			err = dataset_holds(set, slice_sub(host, i, host.len), ret_listed);
	}
	return err;
}

static enum err unwanted(const struct authres *ar, const struct authfields_rules *rules,
			 bool *ret_unwanted)
{
	struct claim claim = { .ar = ar };
	enum err err;

	*ret_unwanted = false;
	if (!rules->remove_all && ar->id_readable && ar->content == AUTHRES_WITHOUT_DKIM)
		return ERR_OK;
	*ret_unwanted = !rules->keep_own && authres_claims(ar, rules->authserv_id);
	if (*ret_unwanted || rules->remove_from == NULL)
		return ERR_OK;
	if (ar->id_readable)
		return host_listed(rules->remove_from, host_of(ar->id), ret_unwanted);
	err = dataset_each(rules->remove_from, look_for_claim, &claim);
	*ret_unwanted = claim.found;
	return err;
}

enum err authfields_find(struct arena *arena, const struct hdrstore *headers,
			 const struct authfields_rules *rules, const size_t **ret_nth,
			 size_t *ret_count)
{
	const struct slice name = SLICE_LIT(AUTHFIELDS_NAME);
	size_t fields = hdrstore_count_name(headers, name);
	size_t *nth = arena_calloc(arena, fields + 1, sizeof(*nth));
	size_t count = 0;

	if (nth == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < fields; i++) {
		struct authres ar;
		bool remove = false;
		enum err err =
			authres_parse(arena, hdrstore_from_top(headers, name, i)->value, &ar);

		if (err == ERR_OK)
			err = unwanted(&ar, rules, &remove);
		else if (err == ERR_NOMEM) { /* too large to be read is unreadable */
			remove = !rules->keep_own;
			err = ERR_OK;
		}
		if (err != ERR_OK)
			return err;
		if (remove)
			nth[count++] = i + 1;
	}
	*ret_nth = nth;
	*ret_count = count;
	return ERR_OK;
}
