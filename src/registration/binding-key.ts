/** Longest `+sip.instance` or contact that is taken as part of a binding key; also checked on records of other nodes. */
export const MAX_IDENTITY_LENGTH = 1024;

/**
 * The key under which a binding is one and the same thing in the whole cluster: the device with its `+sip.instance`
 * (RFC 5626 section 6), else with its canonical contact. The device name is escaped, so that no two pairs give one key.
 */
export function bindingKey(device: string, instanceOrContact: string): string {
  return `${SPECIAL.test(device) ? escaped(device) : device}|${instanceOrContact}`;
}

const SPECIAL = /[%|]/;

function escaped(device: string): string {
  return device.replace(/[%|]/g, (character) => (character === '%' ? '%25' : '%7C'));
}
