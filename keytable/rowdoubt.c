/* Rows that can match no mail: see rowdoubt.h. */
#include "keytable/rowdoubt.h"

#include "dkim/idn.h"

static bool has(struct slice text, char c)
{
	return slice_find(text, c) != text.len;
}

/* Bytes that no domain of an address has, and that mean nothing in a pattern. */
static bool has_no_domain_byte(struct slice text)
{
	static const char never[] = ",;:=<>\"' \t/";

	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\0' || strchr(never, text.ptr[i]) != NULL)
			return true;
	return false;
}

/* UTF-8 that the mapping changes: an author's A-labels, and his U-labels as they should be, never
 * become this. */
static const char *doubt_spelling(struct slice host)
{
	struct idn_spellings names;

	while (host.len != 0 && (host.ptr[0] == '*' || host.ptr[0] == '.'))
		host = slice_sub(host, 1, host.len);
	if (slice_is_ascii(host))
		return NULL;
	idn_spell(host, &names);
	/* Its A-labels and the mapped U-labels are both others. */
	if (names.count < IDN_SPELLINGS_MAX || slice_ieq(names.names[IDN_SPELLINGS_MAX - 1], host))
		return NULL;
	return "can match no sender but one who spells the domain just so: write it in lower case "
	       "and NFC, or in A-labels (xn--...)";
}

static bool is_ere(struct slice text)
{
	static const char meaning[] = "()[]{}?|^$\\";

	for (const char *c = meaning; *c != '\0'; c++)
		if (has(text, *c))
			return true;
	return false;
}

/* Looked up are user@host, host, user@.parent, .parent, user@* and *. */
static const char *doubt_exact(struct slice key)
{
	struct slice host = slice_sub(key, slice_rfind(key, '@') + 1, key.len);

	if (!has(key, '@'))
		host = key;
	if (slice_starts(key, SLICE_LIT("@")))
		return "can match no sender: write the domain without '@'";
	if (has(host, '*') && !slice_eq(host, SLICE_LIT("*")))
		return "can match no sender: '*' is no wildcard within a name here; write refile: "
		       "before the table's path, or example.com for *@example.com and "
		       ".example.com for *.example.com";
	if (slice_starts(key, SLICE_LIT("*@")))
		return "can match no sender: '*' is no wildcard within a name here; write refile: "
		       "before the table's path, or the domain without '*@'";
	return has_no_domain_byte(host) ? "can match no sender: no domain has such a character"
					: doubt_spelling(host);
}

/* The whole user@domain must match. An expression is judged only where that is certain. */
static const char *doubt_pattern(struct slice key)
{
	size_t at = slice_rfind(key, '@');
	struct slice host = slice_sub(key, at + 1, key.len);

	if (is_ere(key))
		return has(key, '@') || has(key, '*') || has(key, '[') || has(key, '\\')
			       ? NULL
			       : "can match no sender: patterns are compared with the whole "
				 "user@domain; write *@ before the domain";
	if (has(key, ','))
		return "can match no sender but an odd one: ',' separates nothing here; write one "
		       "pattern a line";
	if (at == key.len)
		return has(key, '*') && !has_no_domain_byte(key)
			       ? NULL
			       : "can match no sender: patterns are compared with the whole "
				 "user@domain; write *@example.com for example.com";
	if (at == 0)
		return "can match no sender: patterns are compared with the whole user@domain; "
		       "write *@ for @";
	if (slice_starts(host, SLICE_LIT(".")))
		return "can match no sender: no domain starts with '.'; write *@*.example.com for "
		       "*@.example.com";
	if (has_no_domain_byte(host))
		return "can match no sender: no domain has such a character";
	return doubt_spelling(host);
}

const char *rowdoubt_signing(struct slice key, bool is_pattern)
{
	return is_pattern ? doubt_pattern(key) : doubt_exact(key);
}

const char *rowdoubt_domain(struct slice key, bool is_pattern)
{
	if (!is_pattern && slice_starts(key, SLICE_LIT(".")))
		return "can match no sender's domain: write it without the first '.', and "
		       "'SubDomains yes'";
	if (has(key, '@'))
		return "can match no sender's domain: write it without '@'";
	if (has(key, ' ') || has(key, '\t'))
		return "can match no sender's domain: separate domains with ',', not with blanks";
	if (!is_pattern && has(key, '*') && !slice_eq(key, SLICE_LIT("*")))
		return "can match no sender's domain: '*' is no wildcard within a name here; write "
		       "the domain and 'SubDomains yes'";
	if (!is_pattern && has_no_domain_byte(key))
		return "can match no sender's domain: no domain has such a character";
	return doubt_spelling(key);
}
