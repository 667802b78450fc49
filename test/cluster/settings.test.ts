import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../support/cluster';
import { passwordOf, people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import { figure } from '../support/figures';
import type { NodeProcess } from '../support/node-process';
import { SipEndpoint } from '../support/sip-endpoint';

jest.setTimeout(120_000);

describe('settings and states of lines, on real processes', () => {
  let cluster: Cluster;
  const line = people.alice.dn;
  const path = `/api/lines/${line}/settings`;

  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 3, engines: [], busProxies: true });
  }, 120_000);
  afterAll(() => cluster.close());

  const set = async (node: number, change: object): Promise<void> => {
    const { status } = await cluster.node(node).command('PATCH', path, change);
    expect(status).toBe(200);
  };
  const shows = (node: NodeProcess, settings: object): Promise<unknown> =>
    eventually(
      `node ${node.id} has ${JSON.stringify(settings)}`,
      () => node.api(path),
      (found) => JSON.stringify(sorted(found as object)) === JSON.stringify(sorted(settings)),
      { every: 10 },
    );
  const all = (settings: object): Promise<unknown> => Promise.all(cluster.nodes.map((node) => shows(node, settings)));
  const file = (node: number): string => join(cluster.node(node).place.stateDir, 'settings.journal');

  it('what is set at one node is set at all, and what is refused changes nothing', async () => {
    const began = performance.now();
    await set(1, { forwardAll: '2000', dnd: true });
    await all({ forwardAll: '2000', dnd: true });
    figure('a setting is at all of three nodes after', Math.round(performance.now() - began), 'ms');
    expect(await cluster.node(2).command('PATCH', path, { dnd: null, forwardAll: 'two words' })).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(/forwardAll/) as string },
    });
    expect((await cluster.node(2).command('PATCH', '/api/lines/4711/settings', { dnd: true })).status).toBe(404);
    await all({ forwardAll: '2000', dnd: true });
  });

  it('nodes that do not hear each other agree afterwards: of each setting what was set last', async () => {
    for (const { id } of cluster.nodes)
      cluster.bus(id).judge = ({ from }) => ((id === 1) === (from === 1) ? 'pass' : 'drop');
    await set(1, { forwardAll: '2001' });
    await set(1, { dnd: null });
    await set(3, { forwardAll: '2002' });
    await set(3, { forwardBusy: 'sip:bob@example.com' });
    await shows(cluster.node(2), { forwardAll: '2002', dnd: true, forwardBusy: 'sip:bob@example.com' });
    await shows(cluster.node(1), { forwardAll: '2001' });
    const began = performance.now();
    for (const { id } of cluster.nodes) cluster.bus(id).judge = () => 'pass';
    await all({ forwardAll: '2002', forwardBusy: 'sip:bob@example.com' });
    figure('after a partition all settings are equal within', Math.round(performance.now() - began), 'ms');
  });

  it('all nodes killed at once: the disk of any of them brings them back, also to nodes that have lost theirs', async () => {
    const settings = { forwardAll: '2002', forwardBusy: 'sip:bob@example.com', loggedOut: true };
    await set(2, { loggedOut: true });
    await all(settings);
    await eventually(
      'it is on disk',
      () => readFileSync(file(3), 'utf8'),
      (text) => text.includes('loggedOut'),
    );
    await Promise.all(cluster.nodes.map((node) => node.kill9()));
    for (const node of [1, 2]) rmSync(file(node));
    // Damage costs a line, not the file.
    writeFileSync(file(3), `${readFileSync(file(3), 'utf8')}noise\n0123`);
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await all(settings);
    expect(cluster.node(3).log()).toContain('the journal of settings was damaged');
    expect(readFileSync(file(1), 'utf8')).toContain('loggedOut');
  });

  it('a third node sees the lines of a call between two others: idle, connected, idle, and unknown once a node is dead', async () => {
    const phone = async (username: 'alice' | 'bob', at: number): Promise<SipEndpoint> => {
      const endpoint = await SipEndpoint.start(cluster.scope, { username, password: passwordOf(username) });
      await endpoint.register(cluster.node(at).sipPlace, { expires: 3600 });
      return endpoint;
    };
    interface State {
      readonly node: number;
      readonly calls: readonly { readonly id: string; readonly state: string; readonly direction: string }[];
    }
    const state = async (of: 'alice' | 'bob'): Promise<readonly State[]> =>
      (await cluster.node(3).api(`/api/lines/${people[of].dn}/state`)) as State[];
    const shown = async (of: 'alice' | 'bob', node: number, calls: readonly string[]): Promise<State['calls']> => {
      const is = (seen: readonly State[]): boolean =>
        seen.length === 1 &&
        seen[0]?.node === node &&
        JSON.stringify(seen[0].calls.map((call) => `${call.direction} ${call.state}`)) === JSON.stringify(calls);
      const seen = await eventually(`${of} at ${node}: ${calls.join()}`, () => state(of), is);
      return seen[0]?.calls ?? [];
    };
    const alice = await phone('alice', 1);
    await phone('bob', 2);
    const both = [people.alice.dn, people.bob.dn];
    await Promise.all(cluster.nodes.map((node) => node.knows(both)));
    // What the tests before have set does not matter here.
    await set(1, { forwardAll: null, forwardBusy: null, loggedOut: null });
    await shown('alice', 1, []);
    await shown('bob', 2, []);
    const call = await alice.call(cluster.node(1).sipPlace, people.bob.dn, {
      whileItLasts: async () => {
        const [one] = await shown('alice', 1, ['initiator confirmed']);
        const [two] = await shown('bob', 2, ['recipient confirmed']);
        expect(one?.id).toBe(two?.id);
      },
    });
    expect(call.status).toBe(200);
    await shown('alice', 1, []);
    await shown('bob', 2, []);
    await cluster.node(1).kill9();
    await eventually(
      'nobody has it',
      () => state('alice'),
      (seen) => seen.length === 0,
    );
    await shown('bob', 2, []);
  });
});

function sorted(settings: object): [string, unknown][] {
  return Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
}
