/* port_holder.h - which process listens on a port, for a message. */
#ifndef NET_PORT_HOLDER_H
#define NET_PORT_HOLDER_H

#include "base/base.h"

/* Sets text to " (held by NAME, process PID)", or to nothing where the system
 * does not tell. Looks through /proc: for the end of a start that failed. */
void port_holder(uint16_t port, char *text, size_t bytes);

#endif
