import { Cluster } from '../support/cluster';
import { domain, passwordOf, people, type ClusterFile } from '../support/cluster-config';
import { SipEndpoint } from '../support/sip-endpoint';
import { headerOf, statusOf } from '../support/sip-text';

jest.setTimeout(120_000);

const password = 'shared-by-all-of-them';

describe('claim R16: a device that is not configured asks for a number', () => {
  let cluster: Cluster;
  const sip = (node: number): number => cluster.node(node).place.sipPort;

  beforeAll(async () => {
    cluster = await Cluster.start({
      engines: [],
      change: (file: ClusterFile) => {
        file.autoRegistration = { numbers: '3000-3002', username: 'setup', password, site: 'dallas' };
      },
    });
  });
  afterAll(() => cluster.close());

  const device = (): Promise<SipEndpoint> => SipEndpoint.start(cluster.scope, { username: 'setup', password });
  const registers = (endpoint: SipEndpoint, node: number, mac: string, expires = 120): Promise<string> =>
    endpoint.register(sip(node), {
      expires,
      contact: `<sip:setup@127.0.0.1:${endpoint.port}>;+sip.instance="<urn:uuid:00000000-0000-0000-0000-${mac}>"`,
    });

  it('is told its number, is called from another node and calls, and keeps the number over restarts and moves', async () => {
    const phone = await device();
    const bob = await SipEndpoint.start(cluster.scope, { username: 'bob', password: passwordOf('bob') });
    await bob.register(sip(2), { expires: 3600 });

    const told = await registers(phone, 1, '00c04fd430c8');
    expect(statusOf(told)).toBe(200);
    expect(headerOf(told, 'X-Tandem-Number')).toBe('3000');
    expect(headerOf(told, 'P-Associated-URI')).toBe(`<sip:3000@${domain}>`);
    await cluster.everybodyKnows('3000');
    await cluster.everybodyKnows(people.bob.dn);
    const row = (await cluster.node(2).registrations()).find(({ dn }) => dn === '3000');
    expect(row).toMatchObject({ device: 'SEP00C04FD430C8', mac: '00:c0:4f:d4:30:c8', node: 1, local: false });

    expect((await bob.call(sip(2), '3000')).status).toBe(200);
    expect(phone.invites).toHaveLength(1);
    expect((await phone.call(sip(1), people.bob.dn)).status).toBe(200);
    expect(headerOf(bob.invites.at(-1) ?? '', 'From')).toContain(`<sip:3000@${domain}>`);
    await cluster.nothingIsLeft();

    expect(statusOf(await registers(phone, 1, '00c04fd430c8', 0))).toBe(200);
    await cluster.node(1).kill9();
    expect(headerOf(await registers(phone, 2, '00c04fd430c8'), 'X-Tandem-Number')).toBe('3000');
    expect(statusOf(await registers(phone, 2, '00c04fd430c8', 0))).toBe(200);
    await cluster.node(2).kill9();
    await Promise.all([cluster.node(1).start(), cluster.node(2).start()]);
    expect(headerOf(await registers(phone, 1, '00c04fd430c8'), 'X-Tandem-Number')).toBe('3000');
    await bob.register(sip(2), { expires: 3600 });
    await cluster.everybodyKnows('3000');
    expect((await bob.call(sip(2), '3000')).status).toBe(200);
    await cluster.nothingIsLeft();
  });

  it('the others get the rest of the pool at both nodes, and then there is no more', async () => {
    const phones = await Promise.all([device(), device(), device()]);
    const [second, third, fourth] = phones;
    expect(headerOf(await registers(second, 2, '00c04fd430c9'), 'X-Tandem-Number')).toBe('3001');
    await cluster.everybodyKnows('3001');
    expect(headerOf(await registers(third, 2, '00c04fd430ca'), 'X-Tandem-Number')).toBe('3002');
    await cluster.everybodyKnows('3002');
    const none = await registers(fourth, 1, '00c04fd430cb');
    expect(statusOf(none)).toBe(503);
    expect(headerOf(none, 'Warning')).toContain('no number of the pool is free');
    const metrics = await (await cluster.node(1).fetch('/metrics')).text();
    expect(metrics).toMatch(/tandem_auto_registrations_total\{[^}]*result="exhausted"[^}]*\} 1/);
  });

  it('a wrong password is let in nowhere', async () => {
    const stranger = await SipEndpoint.start(cluster.scope, { username: 'setup', password: 'guess' });
    expect(statusOf(await registers(stranger, 1, '00c04fd430cc'))).toBe(401);
  });
});
