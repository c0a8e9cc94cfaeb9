/* Wildcards without backtracking, and regular expressions for the few rows that need them. */
#include "keytable/pattern.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>

/* What is not plain text in a pattern. */
enum { IS_STAR = 1, IS_ERE = 2 };

static const unsigned char special[256] = {
	['*'] = IS_STAR, ['('] = IS_ERE, [')'] = IS_ERE, ['['] = IS_ERE,
	[']'] = IS_ERE,	 ['{'] = IS_ERE, ['}'] = IS_ERE, ['?'] = IS_ERE,
	['|'] = IS_ERE,	 ['^'] = IS_ERE, ['$'] = IS_ERE, ['\\'] = IS_ERE,
};

static unsigned specials(struct slice text)
{
	unsigned seen = 0;

	for (size_t i = 0; i < text.len; i++)
		seen |= special[(unsigned char)text.ptr[i]];
	return seen;
}

bool pattern_is_plain(struct slice text)
{
	return specials(text) == 0;
}

static bool is_ere(struct slice text)
{
	return (specials(text) & IS_ERE) != 0;
}

static enum err bad_pattern(struct slice text, const char *why, struct err_detail *detail)
{
	char shown[80];

	err_detail_set(detail, "pattern '%s': %s", text_sanitize(text, shown, sizeof(shown)), why);
	return ERR_CONFIG;
}

/* regcomp() copies what is repeated: the counts multiply. */
static bool repeats_too_much(struct slice text)
{
	unsigned product = 1;
	unsigned number = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (ch_is_digit(text.ptr[i])) {
			number = number * 10 + (unsigned)(text.ptr[i] - '0');
			if (number > PATTERN_REPEATS_MAX)
				number = PATTERN_REPEATS_MAX + 1;
		} else if (text.ptr[i] == '}') {
			product *= number > 0 ? number : 1;
			if (product > PATTERN_REPEATS_MAX)
				return true;
		} else {
			number = 0;
		}
	}
	return false;
}

/* Back references are no POSIX ERE, and make glibc's matcher exponential. */
static bool has_back_reference(struct slice text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '\\') {
			if (ch_is_digit(text.ptr[i + 1]))
				return true;
			i++;
		}
	return false;
}

static enum err translate(struct slice text, struct buf *out)
{
	buf_add_ch(out, '^');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '*')
			buf_add_ch(out, '.');
		else if (text.ptr[i] == '+' || text.ptr[i] == '.')
			buf_add_ch(out, '\\');
		buf_add_ch(out, text.ptr[i]);
	}
	buf_add_str(out, "$");
	return out->error;
}

static enum err compile_ere(struct pattern *p, struct slice text, bool icase,
			    struct err_detail *detail)
{
	struct buf ere;
	char why[128] = "out of memory";
	int failed;

	p->re = malloc(sizeof(*p->re));
	buf_init(&ere, PATTERN_ERE_BYTES_MAX * 2 + 2);
	if (p->re == NULL || translate(text, &ere) != ERR_OK) {
		free(p->re);
		p->re = NULL;
		buf_done(&ere);
		return ERR_NOMEM;
	}
	failed = regcomp(p->re, ere.data, REG_EXTENDED | REG_NOSUB | (icase ? REG_ICASE : 0));
	buf_done(&ere);
	if (failed == 0)
		return ERR_OK;
	(void)regerror(failed, p->re, why, sizeof(why));
	free(p->re);
	p->re = NULL;
	return failed == REG_ESPACE ? ERR_NOMEM : bad_pattern(text, why, detail);
}

enum err pattern_compile(struct pattern *p, struct slice text, bool icase,
			 struct err_detail *detail)
{
	p->re = NULL;
	if (!is_ere(text))
		return ERR_OK;
	if (text.len > PATTERN_ERE_BYTES_MAX)
		return bad_pattern(text, "too long for a regular expression; use several rows",
				   detail);
	if (repeats_too_much(text))
		return bad_pattern(text, "the repetitions in {} multiply to more than 1000",
				   detail);
	if (has_back_reference(text))
		return bad_pattern(text, "back references are not supported", detail);
	return compile_ere(p, text, icase, detail);
}

void pattern_done(struct pattern *p)
{
	if (p->re != NULL)
		regfree(p->re);
	free(p->re);
	p->re = NULL;
}

static bool same(struct slice a, struct slice b, bool icase)
{
	return icase ? slice_ieq(a, b) : slice_eq(a, b);
}

/* Where part first stands in s; s.len when nowhere. */
static size_t find_part(struct slice s, struct slice part, bool icase)
{
	for (size_t i = 0; i + part.len <= s.len; i++)
		if (same(slice_sub(s, i, i + part.len), part, icase))
			return i;
	return s.len;
}

/* The text before the first star must start the key and that behind the last must end it; between
 * them each piece is taken where it first stands: taking a later place could never help. */
static bool match_wildcards(struct slice text, struct slice key, bool icase)
{
	size_t first = slice_find(text, '*');
	size_t last = slice_rfind(text, '*');
	struct slice head = slice_sub(text, 0, first);
	struct slice tail = slice_sub(text, last + 1, text.len);
	struct slice middle = slice_sub(text, first + 1, last);
	struct slice part;

	if (first == text.len)
		return same(text, key, icase);
	if (key.len < head.len + tail.len || !same(slice_sub(key, 0, head.len), head, icase) ||
	    !same(slice_sub(key, key.len - tail.len, key.len), tail, icase))
		return false;
	key = slice_sub(key, head.len, key.len - tail.len);
	while (first < last && slice_next(&middle, '*', &part)) {
		size_t at = find_part(key, part, icase);

		if (part.len != 0 && at == key.len)
			return false;
		key = slice_sub(key, part.len != 0 ? at + part.len : 0, key.len);
	}
	return true;
}

static bool match_ere(const regex_t *re, struct slice key)
{
	char text[PATTERN_ERE_BYTES_MAX + 1];

	if (key.len > PATTERN_ERE_BYTES_MAX || slice_find(key, '\0') != key.len)
		return false;
	if (key.len != 0)
		memcpy(text, key.ptr, key.len);
	text[key.len] = '\0';
	return regexec(re, text, 0, NULL, 0) == 0;
}

bool pattern_match(const struct pattern *p, struct slice text, struct slice key, bool icase)
{
	return p->re != NULL ? match_ere(p->re, key) : match_wildcards(text, key, icase);
}
