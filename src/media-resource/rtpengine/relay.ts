import {
  type AudioCodec,
  audioCodecs,
  isEvents,
  isSdp,
  isSpeechCodec,
  namesSameCodec,
  sameCodec,
  withOwnNumbers,
  withPayloadTypes,
} from '../../sdp';
import { EngineError, type MediaRelay, type MediaTerms, type OfferRequest, type Side } from '../ports';
import type { Commands } from './commands';
import { codecsNamed, paperDescription } from './player-description';
import { answerParameters, CLOSED, forRtpengine, missingCodecs, offerParameters } from './relay-terms';

type RelayOffer = NonNullable<OfferRequest['relay']>;

/** One end of a session, as far as it has spoken. */
interface End {
  /** The last description of this end: its offer, or its answer. */
  description?: string;
  /** The last offer that this end was given was made of the other end's description. */
  relayed?: boolean;
  offered: boolean;
}

type Ends = Readonly<Record<Side, End>>;

/** What can be offered for an end that has not spoken yet, when nothing is said about its codecs; telephone-event beside them. */
const DELAYED_OFFER: readonly string[] = ['PCMA', 'PCMU', 'G722', 'opus/48000/2', 'telephone-event'];

function other(side: Side): Side {
  return side === 'a' ? 'b' : 'a';
}

/** The description in a reply; throws `EngineError` without one. */
export function descriptionIn(reply: Readonly<Record<string, unknown>>): string {
  const sdp = reply['sdp'];
  if (typeof sdp === 'string' && isSdp(sdp)) return sdp;
  throw new EngineError('error', 'rtpengine answered without a description');
}

/**
 * Payload types that this end used before for codecs which the other end does not have: rtpengine numbers those anew in every
 * offer, and takes whatever the answer says.
 */
function usualPayloads(offer: string, source: string, previous: string | undefined): ReadonlyMap<number, number> {
  const known = previous === undefined ? [] : audioCodecs(previous);
  const native = audioCodecs(source);
  const changes = audioCodecs(offer).flatMap((codec): readonly (readonly [number, number])[] => {
    const before = known.find((candidate) => sameCodec(candidate, codec));
    if (before === undefined || native.some((candidate) => sameCodec(candidate, codec))) return [];
    return before.payload === codec.payload ? [] : [[codec.payload, before.payload]];
  });
  return new Map(changes);
}

/** What is offered in the name of an end that has not spoken: what this end used last, or its terms, or the usual. */
function codecsOfAbsent(
  terms: MediaTerms,
  previous: string | undefined,
  able: readonly string[],
): readonly AudioCodec[] {
  const used = previous === undefined ? [] : audioCodecs(previous);
  if (used.some(isSpeechCodec) && terms.codecs === undefined) return used;
  const wanted = (terms.codecs ?? DELAYED_OFFER).filter(
    (name) => isEvents(name) || able.some((codec) => namesSameCodec(codec, name)),
  );
  return codecsNamed(wanted.length > 0 ? wanted : DELAYED_OFFER);
}

export interface RtpengineRelay extends MediaRelay {
  /** The session has ended. False: it was none of ours. */
  forget(session: string): boolean;
}

/**
 * rtpengine between two ends (transcoder, media termination point). The ends are its tags `a` and `b`. Offers and answers may go
 * in both directions and be repeated; ports stay while the session lasts.
 */
export function createRelay(commands: Commands, codecs: () => readonly string[]): RtpengineRelay {
  const sessions = new Map<string, Ends>();

  const offer = async (session: string, ends: Ends, request: RelayOffer): Promise<string> => {
    const { to, terms } = request;
    const from = other(to);
    const described = request.sdp ?? ends[from].description;
    const source = described ?? paperDescription(codecsOfAbsent(terms, ends[to].description, codecs()), 'sendrecv');
    const reply = await commands.run('offer', {
      'call-id': session,
      'from-tag': from,
      ...(ends[to].description === undefined ? CLOSED : { 'to-tag': to }),
      sdp: forRtpengine(source),
      replace: ['origin'],
      supports: ['load limit'],
      ...offerParameters(source, described === undefined ? { ...terms, codecs: undefined } : terms),
    });
    const { sdp } = reply;
    // Of codecs that it cannot make rtpengine makes a stream without formats, which is no description.
    const missing = typeof sdp === 'string' && /^m=audio /m.test(sdp) ? missingCodecs(terms.codecs, sdp) : undefined;
    if (missing !== undefined)
      throw new EngineError('unsupported', `rtpengine cannot make ${missing.join(' or ')} of what was offered`);
    const made = descriptionIn(reply);
    if (request.sdp !== undefined) ends[from].description = request.sdp;
    ends[to].offered = true;
    ends[to].relayed = described !== undefined;
    return withPayloadTypes(made, usualPayloads(made, source, ends[to].description));
  };

  const answer = async (session: string, ends: Ends, from: Side, sdp: string): Promise<string | undefined> => {
    const to = other(from);
    const reply = await commands.run('answer', {
      'call-id': session,
      'from-tag': to,
      'to-tag': from,
      sdp: forRtpengine(sdp),
      replace: ['origin'],
      ...answerParameters(sdp, ends[to].description),
    });
    ends[from].description = sdp;
    if (ends[from].relayed !== true) return undefined;
    const made = descriptionIn(reply);
    const { description: asked } = ends[to];
    return asked === undefined ? made : withOwnNumbers(made, sdp, asked);
  };

  return {
    get codecs() {
      return codecs();
    },
    async offer(session, request) {
      const known = sessions.get(session);
      const ends: Ends = known ?? { a: { offered: false }, b: { offered: false } };
      if (request.sdp !== undefined && !isSdp(request.sdp))
        throw new EngineError('bad-request', 'the offer is no description');
      try {
        const made = await offer(session, ends, request);
        sessions.set(session, ends);
        return made;
      } catch (error) {
        // An offer that fails leaves a session behind in rtpengine; one that was there before goes on.
        if (known === undefined)
          await commands.run('delete', { 'call-id': session, 'delete-delay': 0 }).catch(() => undefined);
        throw error;
      }
    },
    async answer(session, request) {
      const ends = sessions.get(session);
      if (ends?.[request.from].offered !== true)
        throw new EngineError('bad-request', `side ${request.from} was not offered anything`);
      if (!isSdp(request.answer)) throw new EngineError('bad-request', 'the answer is no description');
      return answer(session, ends, request.from, request.answer);
    },
    forget: (session) => sessions.delete(session),
  };
}
