/* The words of ENUM settings. */
#include "config/settings_priv.h"

#include <syslog.h>

/* clang-format off */
#define ACTION_WORDS                                                                               \
	{ "accept", ACTION_ACCEPT },                                                               \
	{ "a", ACTION_ACCEPT },                                                                    \
	{ "discard", ACTION_DISCARD },                                                             \
	{ "d", ACTION_DISCARD },                                                                   \
	{ "quarantine", ACTION_QUARANTINE },                                                       \
	{ "q", ACTION_QUARANTINE },                                                                \
	{ "reject", ACTION_REJECT },                                                               \
	{ "r", ACTION_REJECT },                                                                    \
	{ "tempfail", ACTION_TEMPFAIL },                                                           \
	{ "t", ACTION_TEMPFAIL }
/* clang-format on */

const struct setting_word settings_words_action[] = { ACTION_WORDS, { NULL, 0 } };

const struct setting_word settings_words_action_default[] = { ACTION_WORDS,
							      { "unset", ACTION_UNSET },
							      { NULL, 0 } };

const struct setting_word settings_words_mode[] = {
	{ "sv", MODE_SIGN | MODE_VERIFY },
	{ "vs", MODE_SIGN | MODE_VERIFY },
	{ "s", MODE_SIGN },
	{ "v", MODE_VERIFY },
	{ NULL, 0 },
};

const struct setting_word settings_words_canon[] = {
	{ "simple/simple", 0 },
	{ "simple", 0 },
	{ "simple/relaxed", CANONICALIZATION_RELAXED_BODY },
	{ "relaxed/simple", CANONICALIZATION_RELAXED_HEADER },
	{ "relaxed", CANONICALIZATION_RELAXED_HEADER },
	{ "relaxed/relaxed", CANONICALIZATION_RELAXED_HEADER | CANONICALIZATION_RELAXED_BODY },
	{ NULL, 0 },
};

const struct setting_word settings_words_algorithm[] = {
	{ "auto", ALGORITHM_AUTO },
	{ "rsa-sha256", ALGORITHM_RSA_SHA256 },
	{ "ed25519-sha256", ALGORITHM_ED25519_SHA256 },
	{ "rsa-sha1", ALGORITHM_RSA_SHA1 },
	{ NULL, 0 },
};

const struct setting_word settings_words_dnssec[] = {
	{ "none", DNSSEC_NONE },
	{ "neutral", DNSSEC_NEUTRAL },
	{ "fail", DNSSEC_FAIL },
	{ NULL, 0 },
};

const struct setting_word settings_words_facility[] = {
	{ "mail", LOG_MAIL },	      { "daemon", LOG_DAEMON }, { "auth", LOG_AUTH },
	{ "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },	{ "ftp", LOG_FTP },
	{ "kern", LOG_KERN },	      { "lpr", LOG_LPR },	{ "news", LOG_NEWS },
	{ "syslog", LOG_SYSLOG },     { "user", LOG_USER },	{ "uucp", LOG_UUCP },
	{ "local0", LOG_LOCAL0 },     { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 },     { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 },     { "local7", LOG_LOCAL7 }, { NULL, 0 },
};
