/* file: one row a line, "key value". Exact look-up. */
#include "keytable/dataset_priv.h"

static enum err file_open(struct dataset *set, const char *name, const char *rest,
			  struct files *files, struct err_detail *detail)
{
	enum err e = dataset_load_lines(set, name, rest, files, detail);

	return e == ERR_OK ? dataset_index(set, NULL, detail) : e;
}

const struct dataset_kind dataset_kind_file = {
	.prefix = "file",
	.open = file_open,
	.close = dataset_close_rows,
	.next = dataset_next_row,
	.each = dataset_each_row,
	.count = dataset_count_rows,
};
