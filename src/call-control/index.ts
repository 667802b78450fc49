/** Call control: sets up, changes and ends calls between device processes. */
export { Conferences, type ConferencesOptions } from './conference/conferences';
export type { ConferenceView } from './conference/conference';
export { Moderation, type CommandOutcome, type ModerationFailure, type ShowOutcome } from './conference/moderation';
export type { ModeratorCommand } from './conference/state';
export { CallControl } from './call-control';
export { isNamed } from './core/call-state';
export type { CallControlDependencies, CallHooks, CallLog, OtherNodes } from './dependencies';
export type { CallDetailRecord } from './record/call-detail-record';
export { LineView } from './record/line-view';
export type { CallDetail, CallSummary, LegView } from './record/call-view';
