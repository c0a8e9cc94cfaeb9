/* hsmdkim-genkey: one key, its record and its table lines. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "tools/genkey.h"

#include "base/limits.h"
#include "signer/filekey.h"
#include "tools/keyfile.h"
#include "tools/outfile.h"
#include "tools/pubtext.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Table lines of a list of a million domains. */
#define REPORT_BYTES_MAX ((size_t)1024 * 1024 * 1024)

void genkey_made_done(struct genkey_made *made)
{
	pubkey_free(&made->key);
	buf_done(&made->ref);
}

void genkey_report_init(struct genkey_report *report)
{
	buf_init(&report->keytable, REPORT_BYTES_MAX);
	buf_init(&report->signingtable, REPORT_BYTES_MAX);
	buf_init(&report->names, DNSTEXT_BYTES_MAX);
}

void genkey_report_done(struct genkey_report *report)
{
	buf_done(&report->keytable);
	buf_done(&report->signingtable);
	buf_done(&report->names);
}

void genkey_migration_print(const struct genkey_report *report, FILE *out)
{
	const struct {
		const char *title;
		struct slice text;
	} parts[] = {
		{ "# KeyTable", buf_slice(&report->keytable) },
		{ "# SigningTable (refile:)", buf_slice(&report->signingtable) },
		{ "# DNS", buf_slice(&report->names) },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].text.len == 0)
			continue;
		(void)fprintf(out, "%s\n", parts[i].title);
		(void)fwrite(parts[i].text.ptr, 1, parts[i].text.len, out);
	}
}

/* DIRECTORY/SELECTOR.suffix */
static enum err job_path(const struct genkey_job *job, const char *suffix, char path[PATH_MAX],
			 struct err_detail *detail)
{
	int n = snprintf(path, PATH_MAX, "%s/%.*s%s", job->directory, SLICE_FMT(job->selector),
			 suffix);

	if (n > 0 && n < PATH_MAX)
		return ERR_OK;
	err_detail_set(detail, "%s: path is too long", job->directory);
	return ERR_LIMIT;
}

/* The KeyTable wants a path that does not depend on where someone stands. */
static enum err add_real_path(const char *path, struct buf *out, struct err_detail *detail)
{
	char *real = realpath(path, NULL);

	if (real == NULL) {
		err_detail_set(detail, "%s: cannot be resolved", path);
		return ERR_IO;
	}
	buf_add_str(out, real);
	free(real);
	return out->error;
}

static enum err read_kept(const char *path, struct pubkey **ret_key, struct err_detail *detail)
{
	AUTO(filekey_free) struct filekey *key = NULL;
	enum err e = filekey_from_path(path, true, &key, detail);

	return e == ERR_OK ? pubkey_from_spki(pubkey_spki(filekey_pubkey(key)), ret_key) : e;
}

static enum err file_make(void *ctx, const struct genkey_job *job, struct genkey_made *ret_made,
			  struct err_detail *detail)
{
	char path[PATH_MAX];
	enum err e = job_path(job, ".private", path, detail);

	(void)ctx;
	if (e != ERR_OK)
		return e;
	ret_made->kept = job->may_exist && outfile_exists(path);
	if (ret_made->kept)
		e = read_kept(path, &ret_made->key, detail);
	else
		e = keyfile_make(path, job->type, job->bits, &ret_made->key, detail);
	return e == ERR_OK ? add_real_path(path, &ret_made->ref, detail) : e;
}

const struct genkey_source genkey_source_file = { .make = file_make };

static void add_signing_line(const struct genkey_job *job, struct slice domain,
			     struct genkey_report *report)
{
	buf_add_fmt(&report->signingtable, "*@%.*s %.*s._domainkey.%.*s\n", SLICE_FMT(domain),
		    SLICE_FMT(job->selector), SLICE_FMT(job->domain));
}

static void add_table_lines(const struct genkey_job *job, const struct genkey_made *made,
			    struct genkey_report *report)
{
	struct slice ref = buf_slice(&made->ref);

	buf_add_fmt(&report->keytable, "%.*s._domainkey.%.*s %.*s:%.*s:", SLICE_FMT(job->selector),
		    SLICE_FMT(job->domain), SLICE_FMT(job->domain), SLICE_FMT(job->selector));
	buf_add(&report->keytable, ref);
	buf_add_ch(&report->keytable, '\n');
	add_signing_line(job, job->domain, report);
	if (job->typed.len != 0 && !slice_ieq(job->typed, job->domain))
		add_signing_line(job, job->typed, report);
}

static struct dnstext record_of(const struct genkey_plan *plan, const struct genkey_job *job,
				const struct pubtext *text)
{
	const struct genkey_options *o = plan->options;

	return (struct dnstext){
		.selector = job->selector,
		.domain = job->domain,
		.zone = slice_str(plan->zone.text),
		.hashes = slice_str(o->hashes),
		.key_name = slice_str(key_type_name(text->type)),
		.pubkey = buf_slice(&text->p),
		.note = slice_str(o->note),
		.test_mode = o->test_mode,
		.no_subdomains = !o->subdomains,
		.email_only = o->restrict_email,
		.absolute = o->append_domain,
		.ttl_s = o->ttl_s,
	};
}

/* SELECTOR.txt. One that an earlier run left is as good as new: the key is the same. */
static enum err write_record(const struct genkey_plan *plan, const struct genkey_job *job,
			     const struct genkey_made *made, struct genkey_report *report,
			     struct err_detail *detail)
{
	char path[PATH_MAX];
	struct pubtext text;
	struct dnstext record;
	struct slice content = SLICE_LIT("");
	struct buf b;
	enum err e = job_path(job, ".txt", path, detail);

	if (e == ERR_OK)
		e = pubtext_from_pubkey(made->key, &text);
	if (e != ERR_OK)
		return e;
	record = record_of(plan, job, &text);
	buf_init(&b, DNSTEXT_BYTES_MAX);
	plan->form->write(&record, &b);
	e = buf_finish(&b, &content);
	if (e == ERR_OK)
		e = made->kept ? outfile_replace(path, content, 0600, detail)
			       : outfile_create(path, content, 0600, detail);
	buf_add(&report->names, content);
	dnstext_explain_names(&record, &report->names);
	buf_done(&b);
	pubtext_done(&text);
	return e;
}

/* Nothing is made before it is sure that its record can be written and nothing is in its way. */
static enum err check_room(const struct genkey_job *job, struct err_detail *detail)
{
	char path[PATH_MAX];
	enum err e = job_path(job, ".txt", path, detail);

	if (e == ERR_OK && faccessat(AT_FDCWD, job->directory, W_OK | X_OK, AT_EACCESS) != 0) {
		err_detail_set(detail, "%s: %s; make the folder or name another with -D",
			       job->directory, strerror(errno));
		return ERR_IO;
	}
	if (e != ERR_OK || job->may_exist || !outfile_exists(path))
		return e;
	err_detail_set(detail, "%s: exists already; choose another selector or move it away", path);
	return ERR_DENIED;
}

enum err genkey_one(const struct genkey_plan *plan, const struct genkey_job *job,
		    struct genkey_report *report, bool *ret_kept, struct err_detail *detail)
{
	struct genkey_made made = { 0 };
	enum err e = check_room(job, detail);

	if (e != ERR_OK)
		return e;
	buf_init(&made.ref, PATH_MAX);
	e = plan->source.make(plan->source.ctx, job, &made, detail);
	if (e == ERR_OK) {
		e = write_record(plan, job, &made, report, detail);
		add_table_lines(job, &made, report);
		*ret_kept = made.kept;
		if (e != ERR_OK)
			err_detail_prefix(detail,
					  "the key is there as %s, only its record is not: ",
					  buf_slice(&made.ref).ptr);
	}
	genkey_made_done(&made);
	return e;
}
