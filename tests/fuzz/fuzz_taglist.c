/* Tag lists: what was accepted, written down again, reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "dkim/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void read_back(const struct taglist *list, size_t size)
{
	static struct taglist again;
	struct slice text;
	struct buf b;

	buf_init(&b, size + 1);
	for (size_t i = 0; i < list->count; i++) {
		buf_add(&b, list->tags[i].name);
		buf_add_ch(&b, '=');
		buf_add(&b, list->tags[i].value);
		buf_add_ch(&b, ';');
	}
	check(buf_finish(&b, &text) == ERR_OK);
	check(taglist_parse(text, &again) == ERR_OK && again.count == list->count);
	for (size_t i = 0; i < list->count; i++) {
		check(slice_eq(again.tags[i].name, list->tags[i].name));
		check(slice_eq(again.tags[i].value, list->tags[i].value));
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct taglist list;

	if (taglist_parse(slice_of(data, size), &list) == ERR_OK)
		read_back(&list, size);
	check(list.count <= LIMIT_TAGS);
	return 0;
}
