import { createFreeswitch } from '../../src/media-resource/freeswitch/engine';
import { createJanus } from '../../src/media-resource/janus/engine';
import { prepareSilence } from '../../src/media-resource/music';
import { eventually } from '../support/eventually';
import { describeFreeswitch } from '../support/freeswitch';
import { Janus } from '../support/janus';
import { Rtpengine } from '../support/rtpengine';
import { Scope } from '../support/scope';
import { startSipCaller } from '../support/sip-caller';
import { conferenceMixerContract } from './conference-mixer';

const scope = new Scope();

conferenceMixerContract(
  'janus with rtpengine before it',
  async () => {
    const [janus, rtpengine] = await Promise.all([Janus.start(scope), Rtpengine.start(scope)]);
    const engine = createJanus({
      name: 'janus',
      address: '127.0.0.1',
      port: janus.port,
      rtpengine: { address: '127.0.0.1', port: rtpengine.port },
      adminKey: janus.adminKey,
      owner: 'acme-1',
      silence: await prepareSilence(scope.directory('sound')),
    });
    scope.defer(() => engine.close());
    return engine;
  },
  () => scope.close(),
);

describeFreeswitch('FreeSWITCH', {}, (at) => {
  const own = new Scope();
  /** Unlike those of other runs: the FreeSWITCH is shared. */
  const cluster = `c${process.pid}x${Date.now() % 100_000}`;
  conferenceMixerContract(
    'FreeSWITCH',
    async () => {
      const engine = createFreeswitch({
        name: 'freeswitch',
        sip: { transport: 'udp', address: at.host, port: at.sipPort },
        eventSocket: { address: at.host, port: at.eventSocketPort, password: at.password },
        caller: await startSipCaller(own),
        owner: `${cluster}-1`,
        localAddress: '127.0.0.1',
      });
      own.defer(() => engine.close());
      await eventually('FreeSWITCH can be used', () => engine.ping().then(() => true), Boolean);
      return engine;
    },
    () => own.close(),
    cluster,
  );
});
