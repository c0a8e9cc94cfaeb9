/* The PINs of one generation: PKCS11PinSource, and pin-source= of each line of the TokenTable. */
#ifndef DAEMON_PINS_H
#define DAEMON_PINS_H

#include "base/err.h"
#include "config/files.h"
#include "config/pinsource.h"
#include "config/settings.h"

/**
 * Read each PIN among the signer's files.
 * @param files the signer's files, the TokenTable among them
 * @return as pinsource_read(), with the setting and the line in the detail; what is wrong with the
 * TokenTable itself is no error here, the signer tells it
 */
NODISCARD enum err pins_read(const struct settings *settings, const struct pinsource_rules *rules,
			     struct files *files, struct err_detail *detail);

#endif
