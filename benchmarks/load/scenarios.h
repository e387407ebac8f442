/* What can be measured. Each makes its connections, reports one JSON object and says whether all was well. */
#ifndef LOAD_SCENARIOS_H
#define LOAD_SCENARIOS_H

#include "load.h"

#define JOIN_PATIENCE_S 120
#define QUIET_S 0.2
#define QUIET_AT_MOST_S 5

bool fanout_run(struct load *load); /* also slow: with one more member, who reads little */
bool idle_run(struct load *load);
bool storm_run(struct load *load);
bool resume_run(struct load *load);
bool history_run(struct load *load);

#endif
