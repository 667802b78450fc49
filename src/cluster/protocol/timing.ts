/** Each node publishes a poll this often. */
export const POLL_INTERVAL_MS = 1_000;
/** A peer is off-line after this many missed polls; the bus is lost after this many own polls not heard. */
export const MISSED_POLLS = 3;
/** A poll may go out so much before its time: the tick that brings it comes with other timers. */
export const POLL_EARLY_MS = 200;
/** How far ticks are apart while something is waited for; else each brings a poll. */
export const TICK_INTERVAL_MS = 250;
/** A tick that comes so long after it was due says that the process was paused, and that nobody else is to blame for the silence. */
export const PAUSED_AFTER_MS = 1_250;
/** An own poll heard later than this after it was published proves nothing about the bus as it is now. */
export const PROOF_MAX_AGE_MS = 2_000;
/** Messages with changes are this far apart: a first change goes at once, those that follow it share a message. */
export const BATCH_DELAY_MS = 5;
/** A poll may overtake the deltas it counts (other connection): they get this long to arrive before a pull. */
export const IN_FLIGHT_GRACE_MS = 250;
/** Parts of a snapshot on their way to one node at a time: half a megabyte, far below where Redis cuts a subscriber. */
export const PULL_WINDOW = 8;
/** A chunk that does not come in this time is asked for again. */
export const CHUNK_TIMEOUT_MS = 1_000;
/** Changes that a node can repeat for others; whoever has missed more than these pulls a snapshot. */
export const MAX_REMEMBERED_CHANGES = 8_192;
/** Entries that a snapshot does not confirm go at most so many at a time, those beyond at the next ticks. */
export const DROPPED_AT_ONCE = 10_000;
/** A snapshot that nobody asks for is forgotten. */
export const SNAPSHOT_IDLE_MS = 10_000;
export const MAX_SNAPSHOTS = 32;
/** Entries of one chunk or changes of one batch, as they are sent; the envelope stays below 64 kB. */
export const MAX_PART_BYTES = 56 * 1024;
export const MAX_ENTRY_BYTES = 16 * 1024;
/** Changes kept while a snapshot is pulled; beyond it the next poll leads to another pull. */
export const MAX_BUFFERED_CHANGES = 50_000;
/** Entries that are nobody's are compared in so many parts: a few that differ cost a few parts. */
export const COMMON_BUCKETS = 64;
export const MAX_COMMON_ENTRIES = 100_000;
export const MAX_PEERS = 1_024;
/** Pulls for a digest that keeps differing back off up to this. */
export const MAX_PULL_BACKOFF_MS = 60_000;
/** A start asks this long, this often, whether its node number is taken. */
export const PROBE_MS = 500;
export const PROBE_INTERVAL_MS = 100;
/** Answers that a flood of signals could multiply go out no more often than this to one node. */
export const ANSWER_INTERVAL_MS = 200;
/** Entries of each peer whose hashes are made anew with each of our polls: 100,000 in less than two minutes. */
export const AUDITED_ENTRIES = 1_000;
/** Entries that a node is told at a time that they are dead: with the longest keys they fit into a message. */
export const MAX_DISPUTED_ENTRIES = 20;
export const REPORT_INTERVAL_MS = 60_000;
