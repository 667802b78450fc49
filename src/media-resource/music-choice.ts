import type { TandemConfig } from '../config/types';

/** Who puts somebody on hold. */
export interface Holder {
  readonly device: string;
  /** The line that the call is of. */
  readonly number: string;
  readonly site?: string;
}

/**
 * Name of the music that parties hear whom a device of whatever node puts on hold in a call of its line: that of the line, of the device, or of
 * its site. Undefined: the default music.
 */
export function chooseMusicSource(
  config: Pick<TandemConfig, 'musicSources' | 'devices' | 'sites'>,
  { device, number, site }: Holder,
): string | undefined {
  const ofLine = config.musicSources.find((source) => source.lines.includes(number));
  if (ofLine !== undefined) return ofLine.name;
  const ofDevice = config.devices.find(({ name }) => name === device)?.musicSource;
  return ofDevice ?? (site === undefined ? undefined : config.sites[site]?.musicSource);
}
