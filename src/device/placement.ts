import type { NodeConfig, TandemConfig } from '../config/types';
import type { CompositeSet } from '../registration/composite-set';
import { hostInUri } from '../sip/domain';
import { sipUri } from '../sip/identity';
import { parseUri } from '../sip-message/uri';
import type { NodeDirectory } from './ports';

export interface PlacementOptions {
  readonly config: TandemConfig;
  /** Our own number. */
  readonly node: number;
  readonly nodes: NodeDirectory;
  readonly composite: CompositeSet;
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Which node a phone belongs to, and where one can go that we do not take (claim R15). Looks, and changes nothing. */
export class Placement {
  constructor(private readonly options: PlacementOptions) {}

  /** The node that phones of this site should be registered with: the first of its list that lives and has room. */
  home(site: string | undefined): number | undefined {
    return this.listOf(site).find((id) => this.takesPhones(id));
  }

  /** Whether a phone of this site is here only because its own node was not there for it. */
  isVisiting(site: string | undefined): boolean {
    const home = this.home(site);
    return home !== undefined && home !== this.options.node;
  }

  /** Whether any other node could take phones. */
  get hasElsewhere(): boolean {
    return this.options.config.nodes.some(({ id }) => id !== this.options.node && this.takesPhones(id));
  }

  /**
   * The URI of the node that a phone of this site should try next, for the transport that it uses; undefined: there is
   * none. Without a list of the site: any node, in the order of the file.
   */
  elsewhere(site: string | undefined, transport: string): string | undefined {
    const list = this.listOf(site);
    const candidates = list.length > 0 ? list : this.options.config.nodes.map(({ id }) => id);
    for (const id of candidates) {
      if (id === this.options.node || !this.takesPhones(id)) continue;
      const uri = this.uriOf(id, transport);
      if (uri !== undefined) return uri;
    }
    return undefined;
  }

  private listOf(site: string | undefined): readonly number[] {
    return site === undefined ? [] : (this.options.config.sites[site]?.nodes ?? []);
  }

  private takesPhones(id: number): boolean {
    const { config, node, nodes, composite } = this.options;
    if (id === node) return true;
    const capacity = config.nodes.find((other) => other.id === id)?.capacity ?? Infinity;
    return nodes.find(id)?.live === true && composite.count(id, 'station') < capacity;
  }

  private uriOf(id: number, transport: string): string | undefined {
    const config = this.options.config.nodes.find((other) => other.id === id);
    const address = config === undefined ? undefined : this.addressOf(config, transport);
    if (address === undefined) return undefined;
    return sipUri(undefined, address.host, { port: address.port, parameters: [['transport', transport]] });
  }

  /** Its listener for the transport; over TCP what it tells other nodes will do too. */
  private addressOf(config: NodeConfig, transport: string): { host: string; port: number } | undefined {
    const told = parseUri(`sip:${this.options.nodes.find(config.id)?.sipAddress ?? ''}`);
    const listener = config.listen.find(({ protocol, port }) => protocol === transport && port > 0);
    if (listener !== undefined) {
      const announced = parseUri(`sip:${listener.announced ?? ''}`);
      const own = config.address ?? (WILDCARDS.has(listener.address) ? told?.host : listener.address);
      const host = announced?.host ?? own;
      return host === undefined ? undefined : { host: hostInUri(host), port: announced?.port ?? listener.port };
    }
    if (transport !== 'tcp' || told?.port === undefined) return undefined;
    return { host: told.host, port: told.port };
  }
}
