/* Keys for a list of domains. What is there already tells how far an earlier run came. */
#include "tools/genkey.h"

#include "config/files.h"
#include "tools/outfile.h"
#include "tools/progress.h"

#include <limits.h>

/* "domain [selector]", '#' starts a comment. @return false: nothing on this line */
static bool parse_line(struct slice line, struct slice *ret_domain, struct slice *ret_selector)
{
	struct slice text = slice_trim(slice_sub(line, 0, slice_find(line, '#')));
	size_t end = 0;

	while (end < text.len && !ch_is_fws(text.ptr[end]))
		end++;
	*ret_domain = slice_sub(text, 0, end);
	*ret_selector = slice_trim(slice_sub(text, end, text.len));
	return text.len != 0;
}

struct list_line {
	const char *file;
	size_t number;
	struct slice typed;
	struct idn_name domain;
	struct slice selector;
};

static enum err check_line(const struct genkey_plan *plan, struct list_line *line,
			   struct err_detail *detail)
{
	if (line->selector.len == 0)
		line->selector = slice_str(plan->options->selector);
	if (genkey_domain_read(line->typed, &line->domain) && genkey_name_valid(line->selector))
		return ERR_OK;
	err_detail_set(detail, "%s:%zu: expected \"domain [selector]\", both as DNS labels",
		       line->file, line->number);
	return ERR_SYNTAX;
}

/* fn for every line that holds something, in order. */
static enum err each_line(const struct genkey_plan *plan, struct slice text,
			  enum err (*fn)(void *ctx, const struct list_line *line,
					 struct err_detail *detail),
			  void *ctx, struct err_detail *detail)
{
	struct list_line line = { .file = plan->options->domains_file };
	struct slice rest = text;
	struct slice raw;
	enum err e = ERR_OK;

	while (e == ERR_OK && slice_next(&rest, '\n', &raw)) {
		line.number++;
		if (!parse_line(raw, &line.typed, &line.selector))
			continue;
		e = check_line(plan, &line, detail);
		if (e == ERR_OK)
			e = fn(ctx, &line, detail);
	}
	return e;
}

static enum err count_line(void *ctx, const struct list_line *line, struct err_detail *detail)
{
	(void)line, (void)detail;
	++*(size_t *)ctx;
	return ERR_OK;
}

struct run {
	const struct genkey_plan *plan;
	struct genkey_report *report;
	struct progress progress;
	size_t done;
	size_t kept;
};

static enum err make_line(void *ctx, const struct list_line *line, struct err_detail *detail)
{
	struct run *run = ctx;
	char directory[PATH_MAX];
	bool kept = false;
	enum err e = ERR_LIMIT;
	int n = snprintf(directory, sizeof(directory), "%s/%s", run->plan->options->directory,
			 line->domain.text);

	if (n > 0 && n < PATH_MAX)
		e = outfile_mkdir(directory, detail);
	if (e == ERR_OK)
		e = genkey_one(run->plan,
			       &(struct genkey_job){ .domain = slice_str(line->domain.text),
						     .typed = line->typed,
						     .selector = line->selector,
						     .directory = directory,
						     .type = run->plan->type,
						     .bits = run->plan->bits,
						     .may_exist = true },
			       run->report, &kept, detail);
	buf_reset(&run->report->names);
	if (e != ERR_OK) {
		err_detail_prefix(detail, "%s:%zu: ", line->file, line->number);
		return e;
	}
	run->kept += kept ? 1 : 0;
	progress_show(&run->progress, ++run->done, slice_str(line->domain.text));
	return ERR_OK;
}

enum err genkey_list(const struct genkey_plan *plan, struct genkey_report *report,
		     struct err_detail *detail)
{
	struct run run = { .plan = plan, .report = report };
	AUTO(files_free) struct files *files = files_new_real();
	struct slice text = SLICE_LIT("");
	size_t total = 0;
	enum err e = files == NULL ? ERR_NOMEM
				   : files_map(files, plan->options->domains_file, &text, detail);

	if (e == ERR_OK)
		e = each_line(plan, text, count_line, &total, detail);
	if (e == ERR_OK)
		e = outfile_mkdir(plan->options->directory, detail);
	if (e != ERR_OK)
		return e;
	progress_start(&run.progress, total);
	e = each_line(plan, text, make_line, &run, detail);
	progress_end(&run.progress);
	(void)fprintf(stderr, "%s: %zu of %zu keys are there, %zu of them from an earlier run%s\n",
		      genkey_spec.program, run.done, total, run.kept,
		      e != ERR_OK ? "; run it again to go on" : "");
	return e;
}
