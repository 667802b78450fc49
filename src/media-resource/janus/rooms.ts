import { createHmac } from 'node:crypto';
import { EngineError } from '../ports';
import type { Handle, JanusGateway } from './gateway';

/** Where RTP is sent. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What the AudioBridge speaks with participants by plain RTP. */
export type BridgeCodec = 'pcma' | 'pcmu' | 'opus';

export interface Entry {
  readonly codec: BridgeCodec;
  readonly payload: number;
  /** Where it sends what this participant is to hear. */
  readonly to: Endpoint;
}

export interface Participant {
  readonly room: string;
  readonly handle: Handle;
  /** Where janus takes the participant's sound. */
  readonly at: Endpoint;
}

/** Rooms of ours at one janus, as the AudioBridge names them. */
export interface Rooms {
  /** Makes the room if it is not there. */
  join(room: string, id: string, entry: Entry): Promise<Participant>;
  /** The room goes with its last participant. */
  leave(participant: Participant, id: string): Promise<void>;
  mute(participant: Participant, id: string, muted: boolean): Promise<void>;
  has(participant: Participant, id: string): Promise<boolean>;
  /** Everybody in rooms of ours, also from earlier incarnations. Rooms without anybody are ended. */
  participants(): Promise<readonly { readonly room: string; readonly id: string }[]>;
  /** The rooms of ours that have this participant. */
  whereIs(id: string): Promise<readonly string[]>;
  remove(room: string, id: string): Promise<void>;
}

export interface RoomsOptions {
  readonly gateway: JanusGateway;
  /** Begins the names of our rooms: nobody else's do. */
  readonly owner: string;
  /** `admin_key` of the AudioBridge; undefined: it has none. */
  readonly adminKey?: string;
}

/** Wideband mixing: what opus and G.722 carry, and G.711 phones lose nothing. */
const SAMPLING_RATE = 16_000;
/** 40 ms: less clicks with jitter, more is delay. */
const PREBUFFERING = 2;

const NO_SUCH_ROOM = 485;
const ROOM_EXISTS = 486;
const NO_SUCH_USER = 487;

type Data = Readonly<Record<string, unknown>>;

function codeOf(data: Data): number | undefined {
  return typeof data['error_code'] === 'number' ? data['error_code'] : undefined;
}

function check(data: Data, ...tolerated: readonly number[]): Data {
  const code = codeOf(data);
  if (code === undefined || tolerated.includes(code)) return data;
  const text = typeof data['error'] === 'string' ? data['error'] : 'no reason given';
  throw new EngineError('error', `janus: ${text.slice(0, 200)} (${code})`);
}

function tables(value: unknown): readonly Data[] {
  if (!Array.isArray(value)) throw new EngineError('error', 'janus sent no list');
  return value.filter((item): item is Data => typeof item === 'object' && item !== null && !Array.isArray(item));
}

function endpointIn(data: Data): Endpoint {
  const { rtp } = data;
  if (typeof rtp === 'object' && rtp !== null && 'ip' in rtp && 'port' in rtp) {
    const { ip, port } = rtp;
    if (typeof ip === 'string' && typeof port === 'number') return { address: ip, port };
  }
  throw new EngineError('error', 'janus does not say where it takes sound');
}

class AudioBridgeRooms implements Rooms {
  /** Who is in, or on the way in, by room; so that a room goes with the last. */
  private readonly present = new Map<string, Set<string>>();
  /** Commands that make or end a room run one after another. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: RoomsOptions) {}

  async join(room: string, id: string, entry: Entry): Promise<Participant> {
    const { gateway } = this.options;
    const name = this.nameOf(room);
    this.presentIn(name).add(id);
    let handle: Handle | undefined;
    try {
      await this.inTurn(() => this.create(name));
      handle = await gateway.attach();
      const { codec, payload, to } = entry;
      const rtp = { ip: to.address, port: to.port, payload_type: payload };
      const body = { request: 'join', room: name, id, codec, rtp };
      const data = check(await gateway.request(body, handle));
      return { room: name, handle, at: endpointIn(data) };
    } catch (error) {
      if (handle !== undefined) await gateway.detach(handle).catch(() => undefined);
      await this.left(name, id).catch(() => undefined);
      throw error;
    }
  }

  async leave({ room, handle }: Participant, id: string): Promise<void> {
    if (this.options.gateway.isCurrent(handle)) await this.options.gateway.detach(handle);
    await this.left(room, id);
  }

  async mute({ room }: Participant, id: string, muted: boolean): Promise<void> {
    const body = { request: muted ? 'mute' : 'unmute', room, id, ...this.secret(room) };
    check(await this.options.gateway.request(body));
  }

  async has({ room, handle }: Participant, id: string): Promise<boolean> {
    if (!this.options.gateway.isCurrent(handle)) return false;
    return (await this.idsIn(room)).includes(id);
  }

  async participants(): Promise<readonly { readonly room: string; readonly id: string }[]> {
    const found: { room: string; id: string }[] = [];
    for (const room of await this.ownRooms()) {
      const ids = await this.idsIn(room);
      if (ids.length === 0) await this.inTurn(() => this.endIfEmpty(room));
      found.push(...ids.map((id) => ({ room, id })));
    }
    return found;
  }

  async whereIs(id: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const room of await this.ownRooms()) if ((await this.idsIn(room)).includes(id)) found.push(room);
    return found;
  }

  async remove(room: string, id: string): Promise<void> {
    const data = await this.options.gateway.request({ request: 'kick', room, id, ...this.secret(room) });
    check(data, NO_SUCH_ROOM, NO_SUCH_USER);
    await this.left(room, id);
  }

  private async create(room: string): Promise<void> {
    const { gateway, adminKey } = this.options;
    const key = adminKey === undefined ? {} : { admin_key: adminKey };
    const data = await gateway.request({
      request: 'create',
      room,
      ...key,
      ...this.secret(room),
      // A room that is not private is told to everybody; one that is can only be listed with the key.
      is_private: adminKey !== undefined,
      sampling_rate: SAMPLING_RATE,
      default_prebuffering: PREBUFFERING,
      allow_rtp_participants: true,
      audiolevel_event: false,
    });
    check(data, ROOM_EXISTS);
  }

  private async left(room: string, id: string): Promise<void> {
    const present = this.presentIn(room);
    present.delete(id);
    if (present.size > 0) return;
    this.present.delete(room);
    await this.inTurn(() => this.endIfEmpty(room));
  }

  private async endIfEmpty(room: string): Promise<void> {
    if ((this.present.get(room)?.size ?? 0) > 0) return;
    const body = { request: 'destroy', room, ...this.secret(room) };
    check(await this.options.gateway.request(body), NO_SUCH_ROOM);
  }

  private async ownRooms(): Promise<readonly string[]> {
    const { gateway, adminKey, owner } = this.options;
    const key = adminKey === undefined ? {} : { admin_key: adminKey };
    const data = check(await gateway.request({ request: 'list', ...key }));
    const names = tables(data['list']).map(({ room }) => room);
    return names.filter((name): name is string => typeof name === 'string' && name.startsWith(`${owner}/`));
  }

  private async idsIn(room: string): Promise<readonly string[]> {
    const data = check(await this.options.gateway.request({ request: 'listparticipants', room }), NO_SUCH_ROOM);
    if (codeOf(data) !== undefined) return [];
    const ids = tables(data['participants']).map(({ id }) => id);
    return ids.filter((id): id is string => typeof id === 'string');
  }

  private presentIn(room: string): Set<string> {
    const present = this.present.get(room) ?? new Set<string>();
    this.present.set(room, present);
    return present;
  }

  private nameOf(room: string): string {
    return `${this.options.owner}/${room}`;
  }

  /** Made of the key, so that a later incarnation can end what an earlier one left. */
  private secret(room: string): { readonly secret?: string } {
    const { adminKey } = this.options;
    if (adminKey === undefined) return {};
    return { secret: createHmac('sha256', adminKey).update(room).digest('base64url') };
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.tail.then(work);
    this.tail = result.catch(() => undefined);
    return result;
  }
}

/** The rooms of one owner at one janus. */
export function createRooms(options: RoomsOptions): Rooms {
  return new AudioBridgeRooms(options);
}
