import { createJanus } from '../../src/media-resource/janus/engine';
import { prepareSilence } from '../../src/media-resource/music';
import { Janus } from '../support/janus';
import { Rtpengine } from '../support/rtpengine';
import { Scope } from '../support/scope';
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
