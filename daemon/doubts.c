/* Doubtful configurations: see doubts.h. */
#include "daemon/doubts.h"

#include "base/text.h"
#include "keytable/rowdoubt.h"

#include <stdio.h>

#define LINE_BYTES 640u

struct doubting {
	struct settings_warnings *warnings;
	const char *setting;
	bool is_pattern;
	size_t rows;
};

static bool add_row(void *ctx, struct slice key, const char *origin, const char *what)
{
	struct doubting *d = ctx;
	char shown[80];
	char line[LINE_BYTES];

	if (++d->rows > DOUBTS_LISTED)
		return true;
	(void)snprintf(line, sizeof(line), "%s: '%s' %s", origin,
		       text_sanitize(key, shown, sizeof(shown)), what);
	settings_warn(d->warnings, line);
	return true;
}

static bool add_domain(void *ctx, struct slice key, struct slice value, const char *origin)
{
	struct doubting *d = ctx;
	const char *what = rowdoubt_domain(key, d->is_pattern);

	(void)value;
	return what == NULL || add_row(d, key, origin, what);
}

static void count_others(const struct doubting *d)
{
	char line[LINE_BYTES];

	if (d->rows <= DOUBTS_LISTED)
		return;
	(void)snprintf(line, sizeof(line), "%s: %zu more rows can match no sender", d->setting,
		       d->rows - DOUBTS_LISTED);
	settings_warn(d->warnings, line);
}

static void doubt_signing_table(const struct snapshot *snapshot, bool thorough,
				struct settings_warnings *warnings)
{
	const struct signtable *table = snapshot->rules.signing_table;
	struct doubting d = { .warnings = warnings, .setting = "SigningTable" };

	if (table == NULL || (signtable_is_live(table) && !thorough))
		return;
	if (!signtable_is_live(table) && signtable_count(table) == 0)
		settings_warn(warnings, "SigningTable holds no row, so nothing will be signed; "
					"write 'example.com KEYNAME', with a name of the KeyTable");
	/* What cannot be read here is an error of whoever looks rows up. */
	if (signtable_each_doubt(table, add_row, &d) == ERR_OK)
		count_others(&d);
}

static void doubt_domain(const struct snapshot *snapshot, struct settings_warnings *warnings)
{
	const struct dataset *domain = snapshot->rules.domain;
	struct doubting d = { .warnings = warnings, .setting = "Domain" };

	if (domain == NULL)
		return;
	d.is_pattern = dataset_is_pattern(domain);
	if (dataset_each(domain, add_domain, &d) == ERR_OK)
		count_others(&d);
	if (dataset_count(domain) == 0)
		settings_warn(warnings, "Domain holds no domain, so nothing will be signed; write "
					"'Domain example.com', without '='");
}

/* Whether it is Postfix's, and what unit will start us, is not known here. */
static void doubt_reports(const struct settings *s, struct settings_warnings *warnings)
{
	static const struct slice sendmail = SLICE_INIT("/sendmail");
	struct slice command = slice_str(s->mta_command);
	struct err_detail detail;

	if (!s->send_reports || (s->mode & MODE_VERIFY) == 0 || s->smtp_uri != NULL ||
	    command.len < sendmail.len ||
	    !slice_eq(slice_sub(command, command.len - sendmail.len, command.len), sendmail))
		return;
	err_detail_set(&detail,
		       "SendReports: %s of Postfix can send no report under a unit with "
		       "NoNewPrivileges=yes, as the one that comes with hsmdkim: add 'SMTPURI "
		       "smtp://127.0.0.1'",
		       s->mta_command);
	settings_place_error(s, &detail);
	settings_warn(warnings, detail.text);
}

void doubts_find(const struct snapshot *snapshot, bool thorough, struct settings_warnings *warnings)
{
	const struct settings *s = snapshot->settings;
	bool signs = (s->mode & MODE_SIGN) != 0;

	if (signs && snapshot->rules.signing_table == NULL && snapshot->rules.domain == NULL &&
	    (thorough || (s->mode & MODE_VERIFY) == 0))
		settings_warn(warnings, "nothing will be signed: there is no KeyTable with a "
					"SigningTable, and no KeyFile with Selector and Domain "
					"('Mode v' for a host that verifies only)");
	if (signs) {
		doubt_signing_table(snapshot, thorough, warnings);
		doubt_domain(snapshot, warnings);
	}
	if (thorough)
		doubt_reports(s, warnings);
	if (!snapshot_signs_loopback(snapshot))
		settings_warn(warnings,
			      "InternalHosts does not hold 127.0.0.1: Postfix's bounces and mail "
			      "from sendmail(1) will not be signed; add it");
}
