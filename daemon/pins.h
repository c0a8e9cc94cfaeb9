/* The PINs of one generation: PKCS11PinSource, and pin-source= of each line of the TokenTable. */
#ifndef DAEMON_PINS_H
#define DAEMON_PINS_H

#include "base/err.h"
#include "config/files.h"
#include "config/settings.h"

/**
 * Read each PIN among the signer's files (config/pinsource.h).
 * @param old   the signer's files of the generation in force, NULL: none
 * @param may_ask false: a PIN that comes from the terminal is left out
 * @param files the signer's files, the TokenTable among them
 * @return as pinsource_read(), with the setting and the line in the detail
 */
NODISCARD enum err pins_read(const struct settings *settings, const struct files *old, bool may_ask,
			     struct files *files, struct err_detail *detail);

#endif
