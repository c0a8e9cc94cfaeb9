/* SMTPURI: smtp://HOST[:PORT], an SMTP server that takes mail of this host. */
#ifndef CONFIG_SMTP_URI_H
#define CONFIG_SMTP_URI_H

#include "base/err.h"

struct smtp_uri {
	char host[256]; /**< a name, or an address without brackets */
	char port[6];
};

/** @return ERR_CONFIG with a detail that says what is allowed */
NODISCARD enum err smtp_uri_parse(const char *text, struct smtp_uri *ret_uri,
				  struct err_detail *detail);

#endif
