import fc from 'fast-check';
import type { Flows } from '../../../src/device/ports';
import { NamedFlows } from '../../../src/sip-server/core/named-flows';
import type { Flow, ListenPoint, TransportLayer } from '../../../src/sip-server/layers';
import type { SipSource } from '../../../src/sip/user-agent';
import { config, settle, TestNode } from './support';

const points: readonly ListenPoint[] = [
  { protocol: 'udp', address: '10.0.0.1', port: 5060 },
  { protocol: 'udp', address: '10.0.0.1', port: 5080 },
  { protocol: 'tcp', address: '10.0.0.1', port: 5060 },
];

/** Every connection comes from the same address and port, as they may one after the other. */
function flowOf(place: number): Flow {
  const [udp, otherUdp, tcp] = points;
  const remote = { remoteAddress: '192.0.2.1', remotePort: 40_000 };
  if (place < 2) return { protocol: 'udp', ...remote, remotePort: 40_000 + place, local: udp! };
  if (place < 3) return { protocol: 'udp', ...remote, local: otherUdp! };
  return { protocol: 'tcp', ...remote, local: tcp!, connection: place };
}

/** A SIP server's flows, and the node above it. */
class World implements Flows {
  readonly closed = new Set<number>();
  private readonly listeners: ((flow: string) => void)[] = [];
  private readonly transport = {
    points,
    isOpen: (connection: number) => !this.closed.has(connection),
    pointFor: (protocol: string) => points.find((point) => point.protocol === protocol),
    finish: () => undefined,
  } as unknown as TransportLayer;
  readonly names = new NamedFlows(this.transport, (flow) => {
    for (const listener of this.listeners) listener(flow);
  });

  isOpen = (flow: string): Promise<boolean> => Promise.resolve(this.names.watch(flow));
  onClosed = (listener: (flow: string) => void): void => void this.listeners.push(listener);
  close = (): void => undefined;
  readonly node = new TestNode({ config: config({ gateways: [] }), flows: this }).start();

  async register(step: Extract<Step, { type: 'register' }>, callId: string): Promise<void> {
    const flow = flowOf(step.place);
    const { protocol, remoteAddress: address, remotePort: port } = flow;
    const source: SipSource = { protocol, address, port, flow: this.names.nameOf(flow) };
    const options = { username: step.username, source, callId, contact: step.contacts.join(', ') };
    if (protocol === 'udp') this.node.register(options);
    else await this.node.registerOver(source.flow ?? '', options);
  }

  disconnect(connection: number): void {
    this.closed.add(connection);
    this.names.closed(connection);
  }
}

type Step =
  | {
      readonly type: 'register';
      readonly username: 'alice' | 'bob';
      readonly place: number;
      readonly contacts: readonly string[];
    }
  | { readonly type: 'close'; readonly place: number };

const contact = fc
  .tuple(
    fc.constantFrom(
      'sip:alice@192.0.2.1:40000',
      'sip:alice@192.0.2.1:40000;transport=tcp',
      'sip:phone@192.168.1.20:5062;maddr=10.9.9.9',
      'sip:2001@10.0.0.2:5060;transport=tcp',
      'sip:777@10.9.9.9:5090',
      'sip:x@abc.invalid;transport=ws',
    ),
    fc.constantFrom('', ';+sip.instance="<urn:a>"', ';+sip.instance="<urn:b>"', ';expires=0'),
  )
  .map(([uri, parameters]) => `<${uri}>${parameters}`);

const place = fc.integer({ min: 0, max: 7 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('register' as const),
      username: fc.constantFrom('alice' as const, 'bob' as const),
      place,
      contacts: fc.array(contact, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close' as const), place }) },
);

interface CallInProgress {
  readonly key: string;
  readonly began: string | undefined;
  readonly movedTo: (() => string | undefined) | undefined;
}

describe('property: bindings and flows', () => {
  test('every request to a binding leaves by the flow of the REGISTER that made it, and none is left of a closed one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const world = new World();
        const { node, names, closed } = world;
        /** By the Call-ID of the REGISTER. */
        const places = new Map<string, number>();
        const calls: CallInProgress[] = [];
        for (const [index, each] of steps.entries()) {
          if (each.type === 'close') world.disconnect(each.place);
          else {
            places.set(`register-${index}`, each.place);
            await world.register(each, `register-${index}`);
          }
          for (const station of node.devices.stations()) {
            const from = places.get(station.registration.binding.callId) ?? -1;
            expect(closed.has(from) && from > 2).toBe(false);
            node.userAgent.invites.length = 0;
            node.userAgent.requests.length = 0;
            station.call({
              digits: '1',
              caller: { number: '2', displayName: undefined, device: 'SEP-bob' },
              maxForwards: 70,
              sdp: '',
              headers: {},
            });
            void station.confirm(1000);
            await settle();
            for (const { uri, nextHop = '' } of [...node.userAgent.invites, ...node.userAgent.requests]) {
              expect(uri).toBe(station.registration.binding.contact);
              const { remotePort: port, local, connection } = flowOf(from);
              expect(names.hopOf(nextHop)).toMatchObject({
                kind: 'address',
                isFlow: true,
                point: local,
                destination: { address: '192.0.2.1', port, ...(connection === undefined ? { local } : { connection }) },
              });
            }
            expect(node.userAgent.invites).toHaveLength(1);
            expect(node.userAgent.requests).toHaveLength(1);
            const movedTo = node.userAgent.invites[0]?.movedTo;
            calls.push({ key: station.key, began: station.registration.source.flow, movedTo });
          }
          // The calls of a binding go where that binding has gone, and nowhere else.
          for (const { key, began, movedTo } of calls) {
            const now = node.devices.stations().find((station) => station.key === key)?.registration.source.flow;
            expect(movedTo?.()).toBe(now === began ? undefined : now);
          }
        }
        node.devices.stop();
      }),
      { numRuns: 50 },
    );
  });
});
