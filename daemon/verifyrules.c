/* Settings -> verifying: see verifyrules.h. */
#include "daemon/verifyrules.h"

#include "base/limits.h"

#include <stdlib.h>
#include <unistd.h>

#define HOST_NAME_BYTES 256u
/* Names in MustBeSigned; more than a message has are a mistake. */
#define MUST_BE_SIGNED_MAX 64u

/* The whole of it; the readable part comes first. */
struct whole {
	struct verifyrules pub;
	char host_name[HOST_NAME_BYTES];
	struct dataset *must_be_signed;
	struct slice names[MUST_BE_SIGNED_MAX];
	size_t names_count;
	struct dataset *remove_ar_from;
	struct dataset *trust_signatures_from;
};

static void whole_free(struct whole **whole)
{
	struct whole *w = *whole;

	if (w == NULL)
		return;
	dataset_free(&w->must_be_signed);
	dataset_free(&w->remove_ar_from);
	dataset_free(&w->trust_signatures_from);
	free(w);
	*whole = NULL;
}

void verifyrules_free(struct verifyrules **rules)
{
	struct whole *w = (struct whole *)*rules; /* pub is its first member */

	whole_free(&w);
	*rules = NULL;
}

/* "1000", "80%", "20+" */
static enum err read_minimum(const char *text, struct dkim_verify_params *params,
			     struct err_detail *detail)
{
	struct slice number = slice_str(text);
	unsigned long long value;
	char unit = '\0';

	params->minimum = DKIM_MINIMUM_ALL;
	if (text == NULL)
		return ERR_OK;
	if (number.len > 1)
		unit = number.ptr[number.len - 1];
	if (unit == '%' || unit == '+')
		number = slice_sub(number, 0, number.len - 1);
	if (!slice_u64(number, &value) || (unit == '%' && value > 100)) {
		err_detail_set(detail,
			       "Minimum %s: write bytes (1000), a part of the body (80%%, at "
			       "most 100%%), or how many bytes may follow the signed part (20+)",
			       text);
		return ERR_CONFIG;
	}
	params->minimum_value = value;
	params->minimum = unit == '%' ? DKIM_MINIMUM_PERCENT
				      : (unit == '+' ? DKIM_MINIMUM_BUT : DKIM_MINIMUM_BYTES);
	return ERR_OK;
}

static bool add_name(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct whole *w = ctx;

	(void)value;
	(void)origin;
	if (w->names_count == MUST_BE_SIGNED_MAX)
		return false;
	w->names[w->names_count++] = key;
	return true;
}

static enum err open_sets(struct whole *w, const struct settings *s, struct files *files,
			  struct err_detail *detail)
{
	const struct {
		const char *name;
		const char *spec;
		struct dataset **set;
	} sets[] = {
		{ "MustBeSigned", s->must_be_signed, &w->must_be_signed },
		{ "RemoveARFrom", s->remove_ar_from, &w->remove_ar_from },
		{ "TrustSignaturesFrom", s->trust_signatures_from, &w->trust_signatures_from },
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		enum err err = ERR_OK;

		if (sets[i].spec != NULL)
			err = dataset_open(sets[i].name, sets[i].spec, DATASET_ICASE, files,
					   sets[i].set, detail);
		err = files_fault(files, sets[i].name, err, detail);
		if (err != ERR_OK)
			return err;
	}
	if (w->must_be_signed == NULL)
		return ERR_OK;
	if (dataset_count(w->must_be_signed) > MUST_BE_SIGNED_MAX) {
		err_detail_set(detail, "MustBeSigned: more than %u names", MUST_BE_SIGNED_MAX);
		return ERR_CONFIG;
	}
	return dataset_each(w->must_be_signed, add_name, w);
}

static enum dkim_key_policy key_policy(int word)
{
	static const enum dkim_key_policy policies[] = {
		[DNSSEC_NONE] = DKIM_KEY_POLICY_NONE,
		[DNSSEC_NEUTRAL] = DKIM_KEY_POLICY_NEUTRAL,
		[DNSSEC_FAIL] = DKIM_KEY_POLICY_FAIL,
	};

	return policies[word];
}

static void publish(struct whole *w, const struct settings *s)
{
	struct dkim_verify_params *p = &w->pub.params;

	p->time.drift_s = s->clock_drift_s;
	p->max_signatures = s->maximum_signatures_to_verify != 0
				    ? (size_t)s->maximum_signatures_to_verify
				    : LIMIT_VERIFY_SIGNATURES;
	p->min_key_bits = (unsigned)s->minimum_key_bits;
	p->bogus_key = key_policy(s->bogus_key);
	p->unprotected_key = key_policy(s->unprotected_key);
	p->must_be_signed = w->names;
	p->must_be_signed_count = w->names_count;
	w->pub.remove_ar_from = w->remove_ar_from;
	w->pub.trust_signatures_from = w->trust_signatures_from;
	w->pub.host_name = w->host_name;
	w->pub.authserv_id = s->authserv_id;
	if (s->authserv_id != NULL && slice_ieq(slice_str(s->authserv_id), SLICE_LIT("HOSTNAME")))
		w->pub.authserv_id = w->host_name;
}

/* What cannot stand as one word in a header would not be found again in a forged one. */
static enum err check_id(const char *id, struct err_detail *detail)
{
	if (id == NULL || id[strcspn(id, " \t\"\\;,()<>@:[]=?")] == '\0')
		return ERR_OK;
	err_detail_set(detail, "AuthservID %s: write a host name, or HOSTNAME", id);
	return ERR_CONFIG;
}

enum err verifyrules_new(const struct settings *settings, struct files *files,
			 struct verifyrules **ret_rules, struct err_detail *detail)
{
	AUTO(whole_free) struct whole *w = calloc(1, sizeof(*w));
	enum err err;

	if (w == NULL)
		return ERR_NOMEM;
	if (gethostname(w->host_name, sizeof(w->host_name) - 1) != 0 || w->host_name[0] == '\0')
		memcpy(w->host_name, "localhost", sizeof("localhost"));
	err = check_id(settings->authserv_id, detail);
	if (err == ERR_OK)
		err = read_minimum(settings->minimum, &w->pub.params, detail);
	if (err == ERR_OK)
		err = open_sets(w, settings, files, detail);
	if (err != ERR_OK)
		return err;
	publish(w, settings);
	*ret_rules = &w->pub;
	w = NULL;
	return ERR_OK;
}
