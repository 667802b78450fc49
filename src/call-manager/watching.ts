import type { TandemConfig } from '../config/types';
import { configurationDigests } from './configuration-digest';
import { Neighbours, type NeighboursOptions } from './neighbours';
import { Watch, type WatchOptions } from './watch';

/** What looks after a node and its neighbours while it runs. */
export interface Watching extends Pick<Neighbours, 'clockSetBack' | 'heard' | 'refused'>, Pick<Watch, 'notReady'> {
  stop(): void;
}

export function startWatching(
  options: Omit<NeighboursOptions, 'configuration'> & WatchOptions & { readonly config: TandemConfig },
): Watching {
  const watch = new Watch(options);
  const neighbours = new Neighbours({ ...options, configuration: configurationDigests(options.config) });
  watch.start();
  neighbours.start();
  return {
    heard: (node, status) => neighbours.heard(node, status),
    clockSetBack: () => neighbours.clockSetBack(),
    refused: (node) => neighbours.refused(node),
    notReady: () => watch.notReady(),
    stop() {
      watch.stop();
      neighbours.stop();
    },
  };
}
