/*
 * What the milter process knows of one generation of the configuration: settings, SigningTable,
 * host lists, header selection. Immutable and reference counted: a message pins the snapshot that
 * is in force when its header begins and keeps it to its end, whatever is loaded meanwhile.
 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include "base/err.h"
#include "config/files.h"
#include "config/settings.h"
#include "daemon/decide.h"
#include "daemon/verifyrules.h"
#include "dkim/sign.h"

#include <stdint.h>

struct snapshot {
	uint32_t generation;
	const struct settings *settings;
	struct decide_rules rules;
	const struct hostlist *peer_list;     /**< NULL: unset */
	const struct dataset *body_length_db; /**< NULL: unset */
	const struct dkim_hdrselect *hdrselect;
	const struct verifyrules *verify;
};

/**
 * Open all tables of the milter's side.
 * @param settings, files  owned by the snapshot from now on, also on failure
 * @return as dataset_open(); the snapshot has one reference
 */
NODISCARD enum err snapshot_new(uint32_t generation, struct settings *settings, struct files *files,
				struct snapshot **ret_snapshot, struct err_detail *detail);
void snapshot_unref(struct snapshot **snapshot);

/** False, with a text to log, when mail from 127.0.0.1 is not signed: Postfix's bounces and
 * sendmail(1) mail come from there. */
bool snapshot_signs_loopback(const struct snapshot *snapshot);

/** The place where the snapshot in force hangs; any thread. */
struct snapshot_slot;

NODISCARD struct snapshot_slot *snapshot_slot_new(void);
void snapshot_slot_free(struct snapshot_slot **slot);

/** @return a reference to the snapshot in force; NULL when none was ever put in */
struct snapshot *snapshot_pin(struct snapshot_slot *slot);

/** Put another in force; the slot takes the caller's reference. */
void snapshot_switch(struct snapshot_slot *slot, struct snapshot *snapshot);

#endif
