/* report.h - which requests run, and which ones took long: lines on stderr. */
#ifndef API_REPORT_H
#define API_REPORT_H

#include "api/api.h"
#include "net/net.h"

/* net's handler.answered, where slow_request_ms is not 0: a line for a request
 * that took so long, with the microseconds of each step; bounded in a second.
 * arg: the struct api. */
void report_answered(void *arg, struct request *request);

/* A line for each request that runs, with its step and age, the oldest first;
 * bounded. Loop 0; each loop writes its own, by mail. */
void report_running(struct api *api, struct net *net);

#endif
