import {
  EngineError,
  type MediaEngine,
  type SessionList,
  type UnavailableReason,
} from '../../../src/media-resource/ports';

/** A session description with one stream of PCMU. */
export function sdpOf(port: number, direction = 'sendrecv'): string {
  return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=${direction}\r\n`;
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
    return sdpOf(40_000, 'sendonly');
  }

  async musicConnect(session: string, options: { readonly file: string; readonly answer: string }): Promise<void> {
    await this.command('connect', session);
    if (!this.held.has(session)) throw new EngineError('error', 'unknown session');
    if (!options.answer.includes('m=audio')) throw new EngineError('bad-request', 'no audio');
    this.held.set(session, { file: options.file, playing: true });
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
