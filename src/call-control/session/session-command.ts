import type { Headers, Session } from '../../sip/user-agent';
import type { Leg, LegId } from '../core/leg';
import type { CallEffect } from '../core/signals';
import type { CallControlDependencies } from '../dependencies';

type SessionCommand = Extract<CallEffect, { leg: LegId }>;

/** Carries out what is asked of one leg's session; without a session there is nothing to ask. `word`: more headers of a response. */
export function command(session: Session | undefined, effect: SessionCommand, word: Headers = {}): void {
  if (session === undefined) return;
  switch (effect.type) {
    case 'progress':
      return session.progress(effect.status, {
        headers: word,
        ...(effect.sdp === undefined ? {} : { sdp: effect.sdp }),
      });
    case 'answer':
      return session.answer({ sdp: effect.sdp, headers: { ...effect.headers, ...word } });
    case 'cancel':
      return session.cancel(effect.reason);
    case 'acknowledge':
      return session.acknowledge(effect.sdp);
    case 'reinvite':
      return session.reinvite(effect.id, {
        headers: { ...effect.headers, ...word },
        ...(effect.sdp === undefined ? {} : { sdp: effect.sdp }),
      });
    case 'request': {
      const { method, headers, body, contentType } = effect;
      return session.request(effect.id, {
        method,
        headers,
        body,
        ...(contentType === undefined ? {} : { contentType }),
      });
    }
    case 'respond':
      return session.respond(effect.id, effect.status, effect.options);
    case 'bye':
      return session.bye(effect.reason === undefined ? undefined : { reason: effect.reason });
    default:
      return;
  }
}

/** The headers that tell a device who is at the other end now. */
export function connectedIn(
  effect: Extract<CallEffect, { type: 'progress' | 'answer' | 'reinvite' }>,
  leg: Leg | undefined,
  { connectedAs }: Pick<CallControlDependencies, 'connectedAs'>,
): Headers {
  if (effect.type === 'progress' || effect.connected === undefined || leg === undefined) return {};
  return connectedAs?.(effect.connected, leg.profile, effect.type === 'answer' ? 'called' : 'calling') ?? {};
}
