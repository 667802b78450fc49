import type { MediaResourceConfig } from '../config/types';
import { audioCodecs, isSdp, isSpeechCodec, mediaLineCount, namesSameCodec } from '../sdp';
import type { Lease } from './lease-table';
import { EngineError, type MediaEngine, type ResourceRequest } from './ports';

export type AllocateRequest = Extract<ResourceRequest, { readonly op: 'allocate' }>;

/** What an engine is asked to do for a lease. */
export type ServiceRequest = Extract<ResourceRequest, { readonly op: 'offer' | 'connect' | 'accept' | 'control' }>;

/** Codecs for speech that the engine cannot make into others; `telephone-event` and its like ride along. */
function unableCodecs(able: readonly string[], wanted: readonly string[]): readonly string[] {
  return wanted.filter(isSpeechCodec).filter((name) => !able.some((codec) => namesSameCodec(codec, name)));
}

/** Why this engine can never serve the request; undefined: it can. */
export function inability(
  resource: MediaResourceConfig,
  engine: MediaEngine,
  request: AllocateRequest,
): string | undefined {
  const { name, type } = resource;
  if (request.type !== type) return `${name} is of type ${type}`;
  if (type === 'conference')
    return engine.mixer === undefined ? `${resource.engine} is no conference bridge` : undefined;
  if (type === 'moh') return undefined;
  if (engine.relay === undefined) return `${resource.engine} is no ${type}`;
  const unable = unableCodecs(engine.relay.codecs, request.codecs ?? []);
  return unable.length === 0 ? undefined : `no ${unable.join(', ')}`;
}

function wrong(message: string): never {
  throw new EngineError('bad-request', message);
}

/** Music on hold: the engine offers, the device answers. Resolves with a description where there is one. */
async function serveMusic(engine: MediaEngine, lease: Lease, request: ServiceRequest): Promise<string | undefined> {
  const { session, file } = lease;
  if (file === undefined) return wrong('no music was chosen');
  if (request.op === 'offer') return engine.musicOffer(session, { file, peer: request.peer });
  if (request.op !== 'connect') return wrong(`${request.op} is nothing that music on hold does`);
  if (lease.phase === 'allocated') return wrong('connect before offer');
  await engine.musicConnect(session, { file, answer: request.answer });
  return undefined;
}

async function serveRelay(engine: MediaEngine, lease: Lease, request: ServiceRequest): Promise<string | undefined> {
  const { relay } = engine;
  if (relay === undefined) throw new EngineError('unsupported', `${engine.name} is no relay`);
  if (request.op === 'offer')
    return request.relay === undefined ? wrong('an offer to which side?') : relay.offer(lease.session, request.relay);
  if (request.op !== 'connect') return wrong(`${request.op} is nothing that a relay does`);
  if (request.from === undefined) return wrong('an answer of which side?');
  return relay.answer(lease.session, { from: request.from, answer: request.answer });
}

async function serveConference(
  engine: MediaEngine,
  lease: Lease,
  request: ServiceRequest,
): Promise<string | undefined> {
  const { mixer } = engine;
  const { session, room } = lease;
  if (mixer === undefined || room === undefined)
    throw new EngineError('unsupported', `${engine.name} has no such conference`);
  switch (request.op) {
    case 'accept':
      return mixer.accept(session, { room, offer: request.offer });
    case 'offer':
      return mixer.offer(session, { room, peer: request.peer });
    case 'connect':
      if (lease.phase === 'allocated') return wrong('connect before offer');
      await mixer.connect(session, { room, answer: request.answer });
      return undefined;
    case 'control':
      await mixer.mute(session, { room, muted: request.muted });
      return undefined;
  }
}

/** What the engine's description was made of. */
function sourceOf(request: ServiceRequest): string | undefined {
  switch (request.op) {
    case 'offer':
      return request.relay?.sdp;
    case 'connect':
      return request.answer;
    case 'accept':
      return request.offer;
    case 'control':
      return undefined;
  }
}

/**
 * Throws `EngineError` for a description that no device could use: unreadable, with other `m=` lines than what it was made of (RFC 3264 §6), or
 * without audio and a codec for it although there was one.
 */
function checked(made: string, source: string | undefined): string {
  const fail = (what: string): never => {
    throw new EngineError('error', `the media server has made ${what}`);
  };
  if (!isSdp(made)) return fail('something that is no session description');
  if (source !== undefined && mediaLineCount(made) !== mediaLineCount(source))
    return fail(`${mediaLineCount(made)} m= lines of ${mediaLineCount(source)}`);
  const speaks = (sdp: string): boolean => audioCodecs(sdp).some(isSpeechCodec);
  return speaks(made) || (source !== undefined && !speaks(source)) ? made : fail('a description without audio');
}

/**
 * Gives the engine the command for this lease; resolves with the description for the caller, if there is one. Rejects with `EngineError`, also when
 * that description is of no use.
 */
export async function serve(
  type: MediaResourceConfig['type'],
  engine: MediaEngine,
  lease: Lease,
  request: ServiceRequest,
): Promise<string | undefined> {
  const made = await served(type, engine, lease, request);
  return made === undefined ? undefined : checked(made, sourceOf(request));
}

function served(
  type: MediaResourceConfig['type'],
  engine: MediaEngine,
  lease: Lease,
  request: ServiceRequest,
): Promise<string | undefined> {
  switch (type) {
    case 'moh':
      return serveMusic(engine, lease, request);
    case 'transcoder':
    case 'mtp':
      return serveRelay(engine, lease, request);
    case 'conference':
      return serveConference(engine, lease, request);
  }
}
