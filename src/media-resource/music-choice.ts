import type { TandemConfig } from '../config/types';

/**
 * Name of the music that parties hear whom `device` puts on hold in a call of its line `number`: that of the line, of the device, or of its
 * site. Undefined: the default music. A device of another node is known by its line only.
 */
export function chooseMusicSource(
  config: Pick<TandemConfig, 'musicSources' | 'devices' | 'gateways' | 'sites'>,
  device: string,
  number: string,
): string | undefined {
  const ofLine = config.musicSources.find((source) => source.lines.includes(number));
  if (ofLine !== undefined) return ofLine.name;
  const station =
    config.devices.find(({ name }) => name === device) ?? config.devices.find(({ lines }) => lines.includes(number));
  if (station?.musicSource !== undefined) return station.musicSource;
  const site = station?.site ?? config.gateways.find(({ name }) => name === device)?.site;
  return site === undefined ? undefined : config.sites[site]?.musicSource;
}
