import type { DeviceConfig } from '../config/types';
import type { BindingChange } from '../sip/registrar';
import type { ReceivedRequest } from '../sip/user-agent';
import { isConnectionBound } from './outgoing';
import type { DevicesOptions } from './ports';
import type { Registration } from './station';

/** In a REGISTER: the media resource group list that the device wants (claim M14). */
export const LIST_HEADER = 'X-Tandem-Media-Resource-Group-List';

/** How many bindings more there are after the changes. */
export function growth(changes: readonly BindingChange[]): number {
  return changes.reduce((sum, change) => {
    if (change.type === 'unbind') return sum - 1;
    return change.previous === undefined ? sum + 1 : sum;
  }, 0);
}

type AskedList = Pick<Registration, 'mediaResourceGroupList'>;

/** The list that comes with a REGISTER (claim M14): of devices that may choose, and only one that there is. */
export function askedList(request: ReceivedRequest, device: DeviceConfig, config: DevicesOptions['config']): AskedList {
  if (!device.acceptListFromDevice) return {};
  const asked = request.header(LIST_HEADER)?.trim();
  const known = config.mediaResourceGroupLists.find(({ name }) => name === asked);
  return known === undefined ? {} : { mediaResourceGroupList: known.name };
}

/** A REGISTER that came by a connection, and is no mere question for a challenge. */
export function bindsConnection({ method, source, header }: ReceivedRequest): boolean {
  return method === 'REGISTER' && isConnectionBound(source) && header('Authorization') !== undefined;
}
