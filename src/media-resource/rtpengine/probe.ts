import { randomUUID } from 'node:crypto';
import { audioCodecs, namesCodec } from '../../sdp';
import type { Commands } from './commands';
import { codecsNamed, paperDescription } from './player-description';

/** Every codec for speech that a build of rtpengine may know. */
const CANDIDATES: readonly string[] = [
  'PCMU',
  'PCMA',
  'G722',
  'G729',
  'opus/48000/2',
  'GSM',
  'G723',
  'speex/8000',
  'speex/16000',
  'speex/32000',
  'iLBC',
  'AMR',
  'AMR-WB/16000',
  'EVS/16000',
];

/**
 * The codecs that this rtpengine encodes and decodes: an offer names them all, and those that it cannot make are missing
 * from what it makes of it, without a word.
 */
export async function probeCodecs(commands: Commands): Promise<readonly string[]> {
  const session = `tandem-probe-${randomUUID()}`;
  try {
    const { sdp } = await commands.run('offer', {
      'call-id': session,
      'from-tag': 'probe',
      sdp: paperDescription(codecsNamed(['PCMU']), 'sendrecv'),
      ICE: 'remove',
      codec: { mask: ['all'], transcode: CANDIDATES },
    });
    const offered = typeof sdp === 'string' ? audioCodecs(sdp) : [];
    return CANDIDATES.filter((name) => offered.some((codec) => namesCodec(name, codec)));
  } finally {
    await commands.run('delete', { 'call-id': session, 'delete-delay': 0 }).catch(() => undefined);
  }
}
