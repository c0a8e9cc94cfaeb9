/* csl: a list in the configuration itself, "a,b=c". Exact look-up. */
#include "keytable/dataset_priv.h"

static enum err csl_open(struct dataset *set, const char *name, const char *rest,
			 struct files *files, struct err_detail *detail)
{
	struct slice list = slice_str(rest);
	enum err e;

	(void)files;
	set->origin = slice_dup(slice_str(name)); /* messages say "entry 1 of Setting" */
	set->text = slice_dup(list);
	if (set->origin == NULL || set->text == NULL)
		return ERR_NOMEM;
	e = rows_scan(&set->rows, slice_of(set->text, list.len), &rows_format_list);
	return e == ERR_OK ? dataset_index(set, NULL, detail) : e;
}

const struct dataset_kind dataset_kind_csl = {
	.prefix = "csl",
	.open = csl_open,
	.close = dataset_close_rows,
	.next = dataset_next_row,
	.each = dataset_each_row,
	.count = dataset_count_rows,
	.is_list = true,
};
