import {
  type ConferenceMixer,
  EngineError,
  type MediaEngine,
  type MediaRelay,
  type SessionList,
  type UnavailableReason,
} from '../../../src/media-resource/ports';

/** A session description with one stream of PCMU. */
export function sdpOf(port: number, direction = 'sendrecv'): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=${direction}\r\n`;
}

/** A description of one stream that says what was asked of an engine. */
export function madeOf(name: string, what: unknown): string {
  return sdpOf(40_002).replace('s=-', `s=${name} ${JSON.stringify(what)}`);
}

/** An engine that keeps sessions in memory, and can be told to fail, to die, and to keep a command waiting. */
export class FakeEngine implements MediaEngine {
  readonly name = 'fake';
  readonly held = new Map<string, { readonly file: string; playing: boolean }>();
  readonly log: string[] = [];
  down = false;
  failure: UnavailableReason | undefined;
  closed = false;
  listLimit = Infinity;
  /** Undefined: it cannot tell. */
  uptime: number | undefined;
  private gate: Promise<void> = Promise.resolve();

  /** Commands wait until the returned function is called. */
  block(): () => void {
    let open: () => void = () => undefined;
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  private async command(name: string, session = ''): Promise<void> {
    this.log.push(session === '' ? name : `${name} ${session}`);
    await this.gate;
    if (this.down) throw new EngineError('down', 'no answer');
    if (this.failure !== undefined) throw new EngineError(this.failure, 'told to fail');
  }

  async ping(): Promise<void> {
    await this.gate;
    if (this.down) throw new EngineError('down', 'no answer');
  }

  async musicOffer(session: string, options: { readonly file: string }): Promise<string> {
    await this.command('offer', session);
    if (!this.held.has(session)) this.held.set(session, { file: options.file, playing: false });
    return this.nonsense ?? sdpOf(40_000, 'sendonly');
  }

  async musicConnect(session: string, options: { readonly file: string; readonly answer: string }): Promise<void> {
    await this.command('connect', session);
    if (!this.held.has(session)) throw new EngineError('error', 'unknown session');
    if (!options.answer.includes('m=audio')) throw new EngineError('bad-request', 'no audio');
    this.held.set(session, { file: options.file, playing: true });
  }

  /** What it makes instead of a sensible description. */
  nonsense: string | undefined;

  /** Undefined: the engine is none of that. */
  relay: MediaRelay | undefined;
  mixer: ConferenceMixer | undefined;

  /** A relay and a mixer that say in their descriptions what they were asked. */
  serveAll(): this {
    const make = async (name: string, session: string, what: unknown): Promise<string> => {
      await this.command(name, session);
      if (!this.held.has(session)) this.held.set(session, { file: '', playing: false });
      return this.nonsense ?? madeOf(name, what);
    };
    this.relay = {
      codecs: ['PCMU', 'PCMA', 'opus/48000/2'],
      offer: (session, request) => make('relay-offer', session, request),
      answer: (session, request) => make('relay-answer', session, request),
    };
    this.mixer = {
      accept: (session, request) => make('mixer-accept', session, request),
      offer: (session, request) => make('mixer-offer', session, request),
      connect: async (session, request) => {
        await make('mixer-connect', session, request);
      },
      mute: async (session, request) => {
        await make('mixer-mute', session, request);
      },
    };
    return this;
  }

  async release(session: string): Promise<void> {
    await this.command('release', session);
    this.held.delete(session);
  }

  async sessions(): Promise<SessionList> {
    await this.command('sessions');
    const ids = [...this.held.keys()];
    return { ids: ids.slice(0, this.listLimit), complete: ids.length <= this.listLimit };
  }

  async holds(session: string): Promise<boolean> {
    await this.command('holds', session);
    return this.held.has(session);
  }

  get uptimeMs(): (() => Promise<number>) | undefined {
    const { uptime } = this;
    return uptime === undefined ? undefined : async () => uptime;
  }

  close(): void {
    this.closed = true;
  }
}
