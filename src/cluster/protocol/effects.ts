import type { Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';
import type { Grave } from './graves';
import type { Destination, ProtocolMessage } from './messages';

export type OfflineReason = 'silent' | 'goodbye' | 'restarted';

/** What goes wrong elsewhere and is worth a line in the log. */
export type Report =
  | 'clock-ahead'
  | 'stamp-ahead'
  | 'entry-refused'
  | 'digest-differs'
  | 'too-many-peers'
  | 'too-many-deltas'
  | 'too-many-common'
  | 'own-entry-refused'
  | 'outlived'
  | 'paused';

/** What the shell has to do for the protocol core, in this order. */
export type Effect =
  | { readonly type: 'publish'; readonly to: Destination; readonly message: ProtocolMessage }
  /** Entries of other nodes, and those of `NOBODY`. */
  | { readonly type: 'put'; readonly owner: number; readonly entry: Entry }
  | { readonly type: 'delete'; readonly owner: number; readonly key: string; readonly reason: string }
  | { readonly type: 'purge'; readonly owner: number; readonly reason: string }
  /** The device of our own entry has registered elsewhere since: take it off the table, reason `moved`, and keep the binding. */
  | { readonly type: 'own-moved'; readonly key: string; readonly to: number }
  /**
   * What it had moved to is gone: the binding that was kept is the device's again. With the stamp that it had: this is no
   * news of the device, which may have registered with a third node meanwhile.
   */
  | { readonly type: 'own-back'; readonly key: string }
  /** A binding that was kept is not needed any more. */
  | { readonly type: 'own-settled'; readonly key: string }
  /** Our own entry is known to be dead: delete it. */
  | { readonly type: 'own-gone'; readonly key: string; readonly reason: DeletionReason }
  /** A device has ended this entry, whoever had it: to be remembered over a restart. */
  | { readonly type: 'buried'; readonly key: string; readonly grave: Grave }
  /** It need not be remembered any more. */
  | { readonly type: 'exhumed'; readonly key: string }
  | { readonly type: 'peer-online'; readonly node: number; readonly boot: number; readonly address: string }
  | { readonly type: 'peer-offline'; readonly node: number; readonly boot: number; readonly reason: OfflineReason }
  /** Its SIP server was started again: of the calls with it none is left there. */
  | { readonly type: 'peer-sip-restarted'; readonly node: number }
  /** Our own clock was set back. */
  | { readonly type: 'clock-set-back' }
  | { readonly type: 'bus-lost' }
  | { readonly type: 'bus-back' }
  /** Another process has our number with a newer incarnation: deregister everything and exit. */
  | { readonly type: 'fatal'; readonly message: string }
  | { readonly type: 'report'; readonly report: Report; readonly node: number; readonly detail: string };
